"""Costs that a user's function knows before a trial, checked each time that it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from nars.errors import UsageError
from nars.space.genotypes import Matrix

__all__ = ["CostsFunction", "KnownCosts", "each"]

CostsFunction = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Costs by name, [n], of n candidates: a dictionary with an array [n] for every parameter."""


@dataclass(frozen=True)
class KnownCosts:
    """Calls a costs function for genotypes; an inactive parameter has the middle of its range there."""

    function: CostsFunction
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of one value, which are no dimensions."""

    def __call__(
        self, distributions: Mapping[str, BaseDistribution], matrix: Matrix
    ) -> dict[str, NDArray[np.float64]]:
        """Costs [n] by name of genotypes [n, d].

        Raises `UsageError` if the function fails or returns anything but one number for each candidate.
        """
        n = len(matrix)
        values = {name: np.full(n, value) for name, value in self.constants.items()}
        columns = zip(distributions.items(), matrix.T, strict=True)
        values |= {name: _external(dist, column) for (name, dist), column in columns}
        try:
            costs = self.function(values)
        except Exception as error:  # whatever a user's function may raise
            raise UsageError(
                f"costs= of NarsSampler failed: {type(error).__name__}: {error}; it gets an array for every "
                "parameter; wrap a function of single values: costs=nars.each(function)"
            ) from error
        if not isinstance(costs, Mapping):
            raise UsageError(f"costs= of NarsSampler must return costs by name, got {type(costs).__name__}")
        return {name: _checked(name, cost, values, n) for name, cost in costs.items()}


def each(function: CostsFunction) -> CostsFunction:
    """A costs function from one of a single candidate's parameters, called for one after the other."""

    def costs(values: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
        lists = {name: column.tolist() for name, column in values.items()}
        rows = [function(dict(zip(lists, row, strict=True))) for row in zip(*lists.values(), strict=True)]
        return (
            {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
            if rows
            else {}
        )

    return costs


def _external(dist: BaseDistribution, column: NDArray[np.float64]) -> NDArray[Any]:
    """The values [n] that an objective is given: choices themselves, integers as integers."""
    if isinstance(dist, CategoricalDistribution):
        choices = np.empty(len(dist.choices), dtype=object)
        choices[:] = dist.choices
        if all(isinstance(choice, int | float) for choice in dist.choices):
            choices = np.array(dist.choices)
        return np.asarray(choices[column.astype(np.int64)])
    return (
        column.astype(np.int64)
        if isinstance(dist.to_external_repr(column[0] if len(column) else 1.0), int)
        else column
    )


def _checked(name: str, cost: Any, values: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.float64]:
    """One finite number for each candidate."""
    try:
        numbers = np.broadcast_to(np.asarray(cost, dtype=np.float64), n)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"costs= of NarsSampler: {name!r} must be {n} numbers, one a candidate, got {np.shape(cost)}"
        ) from error
    if np.isfinite(numbers).all():
        return numbers
    at = int(np.flatnonzero(~np.isfinite(numbers))[0])
    candidate = ", ".join(f"{key}={column[at]!s}" for key, column in values.items())
    raise UsageError(f"costs= of NarsSampler: {name!r} is {numbers[at]} for {candidate}; it must be finite")
