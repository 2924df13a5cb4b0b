"""The rows of the table, and the data sets and seeds of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["LIMIT", "PARENT", "RESULTS", "ROWS", "SEEDS", "Row", "passes_over", "row_called"]

RESULTS = Path(__file__).parent / "rows"
"""A file for every training that is done, and the winner of every search."""

SEEDS = (0, 1, 2)
"""Seeds of the final trainings."""

_SEEN = 4000
"""Images, about, that a detector of the table has seen after its final training. If it inherits, its
parent has seen half of them."""

PARENT = "b"
"""The row that the others inherit from."""

LIMIT = 400e6
"""MACs of the whole detector that the searched ones and those cut by hand have at most."""

_BOTH = ("raccoon", "bccd")
"""The data sets of most rows."""


@dataclass(frozen=True)
class Row:
    """A way to a detector."""

    name: str
    sets: tuple[str, ...] = _BOTH
    inherits: bool = False
    """Whether it starts from a training of `PARENT` with the same seed and half of the passes."""
    architecture_of: str | None = None
    """The row whose search found its detector."""
    first_of: str | None = None
    """The row whose search trained its detector first, a cut of the reference."""
    max_macs: float | None = None
    """Limit of its search; None for a row without one."""
    trials_of: str | None = None
    """The row whose search had as many trials; its own is for *accuracy*, on pictures of the objects."""
    sampler: str = "nars"
    """Sampler of its search."""
    shortest: int = 224
    """Pixels of the shorter side, for detectors that are not searched."""
    proposals: int = 30
    """Regions that the box head sees, for detectors that are not searched."""
    beside: str = "a400"
    """The searched row that the report compares it with."""

    @property
    def search(self) -> str | None:
        """The row whose search has to be done before it."""
        return self.architecture_of or self.first_of or (self.name if self.max_macs else None)


def passes_over(images: int) -> int:
    """Passes over so many training images in which about `_SEEN` are seen: an even number."""
    return 2 * round(_SEEN / 2 / images)


def row_called(name: str) -> Row:
    """The row with this name."""
    return next(row for row in ROWS if row.name == name)


ROWS = (
    Row("b"),
    Row("c"),
    Row("a400", inherits=True, max_macs=LIMIT),
    Row("b2_160", inherits=True, shortest=160, proposals=6),
    Row("b2_144", inherits=True, shortest=144, proposals=8),
    Row("b2_128", inherits=True, shortest=128, proposals=10),
    Row("first400", inherits=True, first_of="a400"),
    Row("e", architecture_of="a400"),
    Row("f400", sets=("raccoon",), inherits=True, max_macs=LIMIT, sampler="random"),
    Row("g400", sets=("raccoon",), inherits=True, max_macs=LIMIT, trials_of="a400"),
    Row("a200", sets=("raccoon",), inherits=True, max_macs=LIMIT / 2),
    Row("first200", sets=("raccoon",), inherits=True, first_of="a200", beside="a200"),
    Row("b2_96", sets=("raccoon",), inherits=True, shortest=96, proposals=4, beside="a200"),
    Row("b2_80", sets=("raccoon",), inherits=True, shortest=80, proposals=6, beside="a200"),
    Row("d_faster"),
    Row("d_ssd"),
)
"""All rows, the cheapest comparisons first."""
