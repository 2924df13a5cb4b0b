"""One form for all genotypes of the same candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from nars.space.genotypes import Matrix
from nars.space.rows import RowSpace

__all__ = ["CanonicalForm"]


class CanonicalForm:
    """Sets every dimension that has no effect to its first value.

    These are the ``rest`` values of a row with a single block and the decay of an EMA that is off.
    Two genotypes are the same candidate exactly if their canonical forms are equal.
    """

    def __init__(
        self,
        rows: Iterable[RowSpace],
        distributions: Mapping[str, BaseDistribution],
        fixed: Mapping[str, Any],
        first: NDArray[np.float64],
    ) -> None:
        columns = {name: at for at, name in enumerate(distributions)}
        switches = {f"{row.name}.depth": (1, _rest_of(row)) for row in rows}
        switches["recipe.ema"] = (0, ["recipe.ema_decay"])
        off: dict[int, tuple[int, list[float]]] = {}
        always: list[int] = []
        for switch, (value, names) in switches.items():
            idle = [columns[name] for name in names if name in columns]
            if switch in distributions:
                values = _in_matrix(distributions[switch], value)
                off |= {column: (columns[switch], values) for column in idle if values}
            elif switch in fixed and fixed[switch] == value:
                always += idle
        most = max((len(values) for _, values in off.values()), default=0)
        self._first = first
        self._always = always
        """Columns that a fixed value turns off."""
        self._idle = list(off)
        """Columns that another column turns off."""
        self._switch = [switch for switch, _ in off.values()]
        """That other column of each."""
        self._off = np.full((most, len(off)), np.nan)
        """Values of that column that turn it off; NaN, which equals nothing, fills up."""
        for at, (_, values) in enumerate(off.values()):
            self._off[: len(values), at] = values

    def __call__(self, matrix: Matrix) -> Matrix:
        """The canonical genotypes [n, d] of genotypes [n, d]."""
        matrix = matrix.copy()
        matrix[:, self._always] = self._first[self._always]
        if self._idle:
            is_off = (matrix[:, None, self._switch] == self._off).any(axis=1)
            matrix[:, self._idle] = np.where(is_off, self._first[self._idle], matrix[:, self._idle])
        return matrix


def _rest_of(row: RowSpace) -> list[str]:
    return [name for name, _ in row.values() if name.endswith(".rest")]


def _in_matrix(distribution: BaseDistribution, value: float) -> list[float]:
    """Entries of a matrix that mean a value: the number itself, or the indices of choices equal to it."""
    if not isinstance(distribution, CategoricalDistribution):
        return [float(value)]
    return [float(index) for index, choice in enumerate(distribution.choices) if choice == value]
