"""Finds the best epoch of a training, and when to stop waiting for a better one."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["best_of", "is_improved", "is_out_of_patience"]

Scores = Sequence[float | None]
"""The score of every epoch so far; None for an epoch that was not measured."""


def best_of(scores: Scores) -> int | None:
    """The index of the first of the highest scores; None if there are none."""
    measured = [score for score in scores if score is not None]
    return scores.index(max(measured)) if measured else None


def is_improved(scores: Scores) -> bool:
    """Whether the last score is above all before it."""
    return bool(scores) and best_of(scores) == len(scores) - 1


def is_out_of_patience(scores: Scores, patience: int) -> bool:
    """Whether the last `patience` measurements brought no better score; never if it is 0."""
    measured = [score for score in scores if score is not None]
    best = best_of(measured)
    return bool(patience) and best is not None and len(measured) - 1 - best >= patience
