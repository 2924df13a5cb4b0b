"""Costs that a user's function knows before a trial, checked each time that it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from nars.errors import UsageError
from nars.sampling.parameters.arguments import in_a_line
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
        values = {name: _array([value])[np.zeros(n, np.int64)] for name, value in self.constants.items()}
        columns = zip(distributions.items(), matrix.T, strict=True)
        values |= {name: _external(dist, column) for (name, dist), column in columns}
        given = {name: column.copy() for name, column in values.items()}  # the function may change them
        try:
            costs = self.function(given)
        except UsageError:
            raise
        except Exception as error:  # whatever a user's function may raise
            raise UsageError(
                f"costs= of NarsSampler failed: {in_a_line(error)}; it gets an array for every "
                "parameter; wrap a function of single values: costs=nars.each(function)"
            ) from error
        return {name: _checked(name, cost, values, n) for name, cost in _by_name(costs).items()}


def each(function: CostsFunction) -> CostsFunction:
    """A costs function from one of a single candidate's parameters, called for one after the other."""
    return _OneByOne(function)


@dataclass(frozen=True)
class _OneByOne:
    """A class, because a study whose sampler holds a local function cannot be sent to another process."""

    function: CostsFunction

    def __call__(self, values: dict[str, Any]) -> dict[str, Any]:
        lists = {name: column.tolist() for name, column in values.items()}
        rows = [self._costs(dict(zip(lists, row, strict=True))) for row in zip(*lists.values(), strict=True)]
        for row in rows:
            if row.keys() != rows[0].keys():
                raise UsageError(
                    "costs= of NarsSampler must return the same costs for every candidate, "
                    f"got {list(rows[0])} and {list(row)}"
                )
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}

    def _costs(self, params: dict[str, Any]) -> Mapping[str, Any]:
        try:
            return _by_name(self.function(params))
        except UsageError:
            raise
        except Exception as error:  # whatever a user's function may raise
            raise UsageError(f"costs= of NarsSampler failed: {in_a_line(error)}, for {params}") from error


def _by_name(costs: object) -> Mapping[str, Any]:
    if not isinstance(costs, Mapping):
        raise UsageError(f"costs= of NarsSampler must return costs by name, got {type(costs).__name__}")
    return costs


def _external(dist: BaseDistribution, column: NDArray[np.float64]) -> NDArray[Any]:
    """The values [n] that an objective is given: choices themselves, integers as integers."""
    if isinstance(dist, CategoricalDistribution):
        return _array(dist.choices)[column.astype(np.int64)]
    return (
        column.astype(np.int64)
        if isinstance(dist.to_external_repr(column[0] if len(column) else 1.0), int)
        else column
    )


def _array(choices: Sequence[Any]) -> NDArray[Any]:
    """An array of numbers or of truth values if the choices are such, or else of the choices themselves."""
    kinds = {type(choice) for choice in choices}
    if kinds == {bool} or kinds <= {int, float}:
        return np.array(choices)
    array = np.empty(len(choices), dtype=object)
    for index, choice in enumerate(choices):  # at once, NumPy would take tuples for rows
        array[index] = choice
    return array


def _checked(name: str, cost: Any, values: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.float64]:
    """One finite number for each candidate; one for all of them is a function that is not of arrays."""
    try:
        numbers = np.asarray(cost, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"costs= of NarsSampler: {name!r} must be {n} numbers, one a candidate, got {_brief(cost)}"
        ) from error
    if numbers.shape != (n,):
        raise UsageError(
            f"costs= of NarsSampler: {name!r} must be {n} numbers, one a candidate, got {_brief(cost)} "
            f"of shape {numbers.shape}; wrap a function of single values: costs=nars.each(function)"
        )
    if np.isfinite(numbers).all():
        return numbers
    at = int(np.flatnonzero(~np.isfinite(numbers))[0])
    candidate = ", ".join(f"{key}={column[at]!s}" for key, column in values.items())
    raise UsageError(f"costs= of NarsSampler: {name!r} is {numbers[at]} for {candidate}; it must be finite")


def _brief(cost: object) -> str:
    return " ".join(f"{cost!r:.60}".split())
