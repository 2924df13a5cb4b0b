"""Joint architecture-recipe tables of the `micro` space: candidates that were really trained."""

from __future__ import annotations

from dataclasses import dataclass

from nars.space import Space
from search_spaces import space

__all__ = ["CANDIDATES", "FRACTIONS", "TABLES", "Table", "table_space"]

CANDIDATES = 600
"""Different candidates of a whole table."""

FRACTIONS = tuple(i / 8 for i in range(1, 9))
"""Shares of a training after which a row has the accuracy then."""


@dataclass(frozen=True)
class Table:
    source: str
    """As `nars.data.load` takes it; below the data root unless it is a name."""
    images: int | None
    """Training images used, the first of each class alike; None is all."""
    measured: int | None = None
    """Validation images used, the first of all; None is all."""


TABLES = {
    "micro-digits": Table("digits", None),
    "micro-fashion": Table("cls/fashion_mnist_20k.npz", 1000, 1000),
}
"""Name -> what it is trained on; both have ten classes."""


def table_space() -> Space:
    """`micro` with the ten outputs that both data sets need."""
    return space("micro").replace(num_classes=10)
