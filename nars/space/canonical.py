"""One form for all genotypes of the same candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nars.space.genotypes import Matrix
from nars.space.rows import RowSpace
from nars.space.values import Scalar
from nars.spec import frozen_stages

__all__ = ["CanonicalForm"]

_RECIPE_SWITCHES: dict[str, tuple[tuple[Scalar, ...], list[str]]] = {
    "recipe.ema": ((False,), ["recipe.ema_decay"]),
    "recipe.policy": (("none", "trivial_augment"), ["recipe.magnitude"]),
    "recipe.balanced_sampling": ((True,), ["recipe.class_weights"]),
    "recipe.frozen": ((1.0,), ["recipe.layer_decay"]),
    "recipe.distill": ((0.0,), ["recipe.distill_temperature"]),
}
"""Dimensions of a recipe, with the values at which they switch others off, and the others."""

_FROZEN = "recipe.frozen"
"""The dimension whose values have an effect only in whole stages."""


class CanonicalForm:
    """Sets every dimension that has no effect to its first value.

    These are the ``rest`` values of a row with a single block, the decay of an EMA that is off, the magnitude
    of a policy that has none, the weights of classes that are drawn equally often, the temperature of a
    teacher without a share. A share of frozen stages becomes the first one that freezes as many. Two
    genotypes are the same candidate exactly if their canonical forms are equal.
    """

    def __init__(
        self,
        rows: Iterable[RowSpace],
        distributions: Mapping[str, BaseDistribution],
        fixed: Mapping[str, Any],
        first: NDArray[np.float64],
        stages: int,
    ) -> None:
        columns = {name: at for at, name in enumerate(distributions)}
        switches: dict[str, tuple[tuple[Scalar, ...], list[str]]]
        switches = {f"{row.name}.depth": ((1,), _rest_of(row)) for row in rows} | _RECIPE_SWITCHES
        off: dict[int, tuple[int, list[float]]] = {}
        always: list[int] = []
        for switch, (idling, names) in switches.items():
            idle = [columns[name] for name in names if name in columns]
            if switch in distributions:
                values = [each for value in idling for each in _in_matrix(distributions[switch], value)]
                off |= {column: (columns[switch], values) for column in idle if values}
            elif switch in fixed and fixed[switch] in idling:
                always += idle
        most = max((len(values) for _, values in off.values()), default=0)
        self._first = first
        self._frozen = columns.get(_FROZEN)
        self._same_freeze = None if self._frozen is None else _SameFreeze(distributions[_FROZEN], stages)
        self._always = always
        """Columns that a fixed value turns off."""
        self._idle = list(off)
        """Columns that another column turns off."""
        self._switch = [switch for switch, _ in off.values()]
        """For each idle column, the column that turns it off."""
        self._off = np.full((most, len(off)), np.nan)
        """[most, idle]: the values that turn each idle column off, padded with NaN, which equals nothing."""
        for at, (_, values) in enumerate(off.values()):
            self._off[: len(values), at] = values

    def __call__(self, matrix: Matrix) -> Matrix:
        """The canonical genotypes [n, d] of genotypes [n, d]."""
        matrix = matrix.copy()
        matrix[:, self._always] = self._first[self._always]
        if self._same_freeze is not None:
            matrix[:, self._frozen] = self._same_freeze(matrix[:, self._frozen])
        if self._idle:
            is_off = (matrix[:, None, self._switch] == self._off).any(axis=1)
            matrix[:, self._idle] = np.where(is_off, self._first[self._idle], matrix[:, self._idle])
        return matrix


class _SameFreeze:
    """Sets shares of frozen stages, as a column [n] has them, to the first share that freezes as many."""

    def __init__(self, distribution: BaseDistribution, stages: int) -> None:
        starts: dict[int, float] = {}
        for entry, share in _entries(distribution, stages):
            starts.setdefault(frozen_stages(share, stages), entry)
        self._starts = np.array([starts[count] for count in sorted(starts)])
        self._choices = None
        if isinstance(distribution, CategoricalDistribution):
            counts = [frozen_stages(share, stages) for _, share in _entries(distribution, stages)]
            self._choices = np.array([starts[count] for count in counts])

    def __call__(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._choices is not None:
            return np.asarray(self._choices[column.astype(np.int64)])
        return np.asarray(self._starts[np.searchsorted(self._starts, column + 1e-9, side="right") - 1])


def _entries(distribution: BaseDistribution, stages: int) -> list[tuple[float, float]]:
    """Ascending entries of a matrix and their shares: all, or only those that freeze one more stage."""
    if isinstance(distribution, CategoricalDistribution):
        return [(float(index), float(share or 0)) for index, share in enumerate(distribution.choices)]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is not None:
        shares = [min(low + step * number, high) for number in range(round((high - low) / step) + 1)]
    else:
        shares = [low, *(share for share in np.arange(stages + 1) / stages if low < share <= high)]
    return [(float(share), float(share)) for share in shares]


def _rest_of(row: RowSpace) -> list[str]:
    return [name for name, _ in row.values() if name.endswith(".rest")]


def _in_matrix(distribution: BaseDistribution, value: Scalar) -> list[float]:
    """Entries of a matrix that mean a value: the number itself, or the indices of choices equal to it."""
    if not isinstance(distribution, CategoricalDistribution):
        return [float(value or 0)]
    return [float(index) for index, choice in enumerate(distribution.choices) if choice == value]
