"""The ranges of values that a recipe and its augmentation share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from nars.foreign.limits import MOST_SETTING

__all__ = ["Factor", "Jitter", "Probability"]

Factor = Annotated[float, Field(gt=0, le=MOST_SETTING)]
Probability = Annotated[float, Field(ge=0, le=1)]


def _rising(factors: tuple[float, float]) -> tuple[float, float]:
    low, high = factors
    if low > high:
        raise ValueError("the lower factor comes first")
    return factors


Jitter = Annotated[tuple[Factor, Factor], AfterValidator(_rising)]
"""Lowest and highest factor."""
