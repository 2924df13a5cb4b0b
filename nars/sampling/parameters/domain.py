"""A domain of plain Optuna distributions, some of which a candidate may lack."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, distribution_to_json

from nars.sampling.parameters.activity import Activity
from nars.sampling.parameters.costs import KnownCosts
from nars.space.dimensions import Dimensions
from nars.space.genotypes import Matrix

__all__ = ["Parameters", "middle"]


def middle(dimensions: Dimensions) -> NDArray[np.float64]:
    """The value [d] at the middle of every dimension; that of a parameter which a candidate lacks."""
    return np.asarray(dimensions.from_unit(np.full((1, len(dimensions.low)), 0.5))[0])


@dataclass(frozen=True)
class Parameters:
    """Distributions by name, all of more than one value, with what is known about them.

    A parameter that a candidate lacks (an *inactive* one) is at the middle of its range, in every
    matrix: one predictor serves candidates with it and without it.
    """

    distributions: Mapping[str, BaseDistribution]
    activity: Activity = field(default_factory=Activity)
    """The parameters that a candidate may lack, and what decides whether it does."""
    costs: KnownCosts | None = None

    @cached_property
    def dimensions(self) -> Dimensions:
        return Dimensions.of(self.distributions)

    @property
    def fingerprint(self) -> str:
        text = "".join(f"{name}{distribution_to_json(dist)}" for name, dist in self.distributions.items())
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def _middle(self) -> NDArray[np.float64]:
        return np.asarray(self._on_grid(middle(self.dimensions)[None])[0])

    def canonical(self, matrix: Matrix) -> Matrix:
        """Genotypes [n, d] on the grid of their distributions, inactive parameters at the middle."""
        snapped = self._on_grid(np.asarray(matrix, dtype=np.float64))
        return np.where(self.activity.mask(list(self.distributions), snapped), snapped, self._middle)

    def statistics(self, matrix: Matrix) -> Mapping[str, NDArray[np.float64]]:
        """The costs known beforehand, by name: [n]."""
        return {} if self.costs is None else self.costs(self.distributions, matrix)

    def _on_grid(self, matrix: Matrix) -> Matrix:
        """Values in their ranges, counted ones exactly at a step: equal values have equal bits."""
        dims = self.dimensions
        counted = dims.low + dims.step * np.round((matrix - dims.low) / dims.step)
        other = np.where(dims.whole, np.round(matrix), matrix)
        return np.asarray(np.where(dims.count > 0, counted, other).clip(dims.low, dims.high))
