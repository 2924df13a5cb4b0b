"""Uses a trained detector: predicts, draws, exports and quantizes."""

from __future__ import annotations
