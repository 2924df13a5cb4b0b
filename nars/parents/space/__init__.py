"""The search space of a parent, and the simple ways to a smaller network within it."""

from nars.parents.space.cuts import uniform_cuts, wholes_of
from nars.parents.space.opened import open_rows, space_of

__all__ = ["open_rows", "space_of", "uniform_cuts", "wholes_of"]
