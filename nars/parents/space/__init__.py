"""The search space of a parent, the simple ways to a smaller network within it, and what lies near them."""

from nars.parents.space.cuts import Cut, best_cuts, cuts, wholes_of
from nars.parents.space.lessons import lessons
from nars.parents.space.opened import open_rows, space_of

__all__ = ["Cut", "best_cuts", "cuts", "lessons", "open_rows", "space_of", "wholes_of"]
