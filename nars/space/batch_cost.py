"""The cost of many genotypes of a space at once: a matrix in, arrays of block rows out.

A generation of an evolution is a hundred genotypes, and a search counts costs more often than it does
anything else. Going through the values of the space one by one would take longer than the
arithmetic, so `SpaceCost` works out once in which column each value is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from nars.space.block_rows import BlockRows
from nars.space.cost import count_classifier, count_rows
from nars.space.costs import Costs
from nars.space.dimensions import is_recipe
from nars.space.genotypes import Matrix
from nars.space.rows import RowSpace

__all__ = ["CHUNK", "ROW_NUMBERS", "Numbers", "RowNumbers", "SpaceCost"]

Ints = NDArray[np.int64]

CHUNK = 2048
"""Genotypes counted at a time: their rows stay in the processor's cache."""

ROW_NUMBERS: dict[str, Callable[[Any], float]] = {
    "channels": float,
    "depth": float,
    "kernel": lambda kernel: kernel or 1,
    "expansion": lambda expansion: expansion or 1,
    "se": lambda gate: gate != "none",
    "padding": lambda padding: padding if isinstance(padding, int) else -1,
}
"""The values of a row that enter its cost, by their key, and how each becomes a number."""


class SpaceCost:
    """Counts the cost of genotypes of one space."""

    def __init__(
        self,
        rows: Sequence[RowSpace],
        distributions: Mapping[str, BaseDistribution],
        fixed: Mapping[str, Any],
        in_channels: int,
        num_classes: int,
    ) -> None:
        self._classes = num_classes
        self._in_channels = in_channels
        self._values = Numbers(distributions, fixed, _number_of)
        self._rows = RowNumbers(rows, self._values)

    def __call__(self, matrix: Matrix) -> Costs:
        """MACs and parameters [n] of genotypes [n, d]."""
        starts = range(0, max(len(matrix), 1), CHUNK)
        return Costs.joined([self._count(matrix[start : start + CHUNK]) for start in starts])

    def _count(self, matrix: Matrix) -> Costs:
        values = self._values(matrix)
        side = values[self._values.rows["resolution"]].astype(np.int64)
        costs, side, channels = count_rows(self._rows(values), side, self._in_channels)
        return costs + count_classifier(side, channels, self._classes)


class RowNumbers:
    """Reads the block rows of genotypes from their numbers."""

    def __init__(self, rows: Sequence[RowSpace], numbers: Numbers) -> None:
        self._numbers = numbers
        self._parts = list(_parts(rows))
        self._rest = np.array([part == "rest" for _, part in self._parts], dtype=bool)
        self._rows_of = {key: self._find_rows(key) for key in ROW_NUMBERS}

    def __call__(self, values: NDArray[np.float64]) -> BlockRows:
        """The rows of the genotypes whose numbers are `values` [values, n]."""

        def whole(key: str) -> Ints:
            return values[self._rows_of[key]].astype(np.int64)

        rest = self._rest[:, None]
        return BlockRows(
            op=[row.op for row, _ in self._parts],
            stride=[row.stride if part == "first" else 1 for row, part in self._parts],
            channels=whole("channels"),
            kernel=whole("kernel"),
            repeats=np.where(rest, whole("depth") - 1, 1),
            expansion=values[self._rows_of["expansion"]],
            se=values[self._rows_of["se"]] == 1,
            padding=np.where(rest, -1, whole("padding")),
            squeeze_hidden=np.array([[row.squeeze == "hidden"] for row, _ in self._parts]),
            bare_depthwise=np.array([[row.depthwise == "bare"] for row, _ in self._parts]),
            bias=np.array([[row.bias] for row, _ in self._parts]),
        )

    def _find_rows(self, key: str) -> Ints:
        """The row of `Numbers` [parts] that has the value under `key` of each part."""
        names = ((f"{row.name}.{key}", part) for row, part in self._parts)
        rows = self._numbers.rows
        return np.array([rows[name if name in rows else f"{name}.{part}"] for name, part in names])


def _parts(rows: Sequence[RowSpace]) -> Iterator[tuple[RowSpace, str]]:
    """The first block of every row and the blocks after it."""
    for row in rows:
        yield row, "first"
        if row.op != "mbpool":
            yield row, "rest"


class Numbers:
    """Genotypes as numbers: one row for each value that enters the cost, open or fixed."""

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        fixed: Mapping[str, Any],
        number_of: Callable[[str], Callable[[Any], float] | None],
    ) -> None:
        """`number_of` tells how the value of this flat name becomes a number; None if it does not count."""
        entering = {name: number for name in [*distributions, *fixed] if (number := number_of(name))}
        searched = [name for name in distributions if name in entering]
        held = [name for name in fixed if name in entering]
        columns = list(distributions)
        self.rows = {name: row for row, name in enumerate([*searched, *held])}
        """The row of each value."""
        self._columns = np.array([columns.index(name) for name in searched], dtype=np.int64)
        self._fixed = np.array([[entering[name](fixed[name])] for name in held], dtype=np.float64)
        tables = {
            self.rows[name]: [entering[name](choice) for choice in dist.choices]
            for name, dist in distributions.items()
            if name in entering and isinstance(dist, CategoricalDistribution)
        }
        self._choices = np.array(list(tables), dtype=np.int64)
        """Rows that hold the index of a choice."""
        self._starts = np.cumsum([0, *map(len, tables.values())], dtype=np.int64)[:-1, None]
        """The first entry in `_table` [choices, 1] of each such row."""
        self._table = np.array([number for table in tables.values() for number in table], dtype=np.float64)
        """The numbers of all choices, row after row."""

    def __call__(self, matrix: Matrix) -> NDArray[np.float64]:
        """The numbers [values, n] of genotypes [n, d]."""
        numbers = np.empty((len(self.rows), len(matrix)))
        searched = numbers[: len(self._columns)]
        searched[:] = matrix.T[self._columns]
        searched[self._choices] = self._table[self._starts + searched[self._choices].astype(np.int64)]
        numbers[len(searched) :] = self._fixed.reshape(-1, 1)
        return numbers


def _number_of(name: str) -> Callable[[Any], float] | None:
    """How a value becomes a number; None if it does not enter the cost.

    Its flat name is ``resolution``, ``ROW.KEY`` or ``ROW.KEY.PART``.
    """
    first, *rest = name.split(".")
    if is_recipe(name):
        return None
    return ROW_NUMBERS.get(rest[0]) if rest else float if first == "resolution" else None
