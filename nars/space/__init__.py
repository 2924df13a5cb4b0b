"""The searched spaces: genotypes, costs in closed form, limits. Nothing here imports torch."""

from __future__ import annotations

from nars.space import genotypes
from nars.space.space import Space

__all__ = ["Space", "genotypes"]
