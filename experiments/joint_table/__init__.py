"""Joint architecture-recipe tables of the `micro` space: every candidate was really trained."""

from __future__ import annotations

from dataclasses import dataclass

from nars.space import Space
from search_spaces import space

__all__ = ["CANDIDATES", "FRACTIONS", "TABLES", "Table", "table_space"]

CANDIDATES = 600
"""Distinct candidates in a complete table."""

FRACTIONS = tuple(i / 8 for i in range(1, 9))
"""Parts of a training after which a row has the accuracy."""


@dataclass(frozen=True)
class Table:
    """The data that a table's candidates are trained on."""

    source: str
    """Name or file for `nars.data.load`; a file is below the data root."""
    images: int | None
    """Training images used, equally many of each class, the first ones; None means all."""
    measured: int | None = None
    """Validation images used, the first ones; None means all."""


TABLES = {
    "micro-digits": Table("digits", None),
    "micro-fashion": Table("cls/fashion_mnist_20k.npz", 1000, 1000),
}
"""The tables by name; both have ten classes."""


def table_space() -> Space:
    """The space `micro` with the ten outputs that both data sets need."""
    return space("micro").replace(num_classes=10)
