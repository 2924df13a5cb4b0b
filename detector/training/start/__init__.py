"""The start of a detector's training: it inherits, and the statistics of its norms are set."""

from detector.training.start.started import started

__all__ = ["started"]
