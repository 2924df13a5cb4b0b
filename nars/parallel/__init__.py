"""Trainings in several processes, which ``torchrun`` starts on one machine or on many.

A training is written for one process. Every process of several runs it: all prepare the same batch, each
passes its share of the images through the network, and all get the outputs and the gradients of the whole.
"""

from nars.parallel.norms import synchronized
from nars.parallel.processes import (
    agreed,
    alone,
    check_same,
    collected,
    gathered,
    is_first,
    joined,
    largest,
    mean,
    own,
    rank,
    world_size,
    wrapped,
)
from nars.parallel.sharing import check_batch, drawn, share, shared, spread

__all__ = [
    "agreed",
    "alone",
    "check_batch",
    "check_same",
    "collected",
    "drawn",
    "gathered",
    "is_first",
    "joined",
    "largest",
    "mean",
    "own",
    "rank",
    "share",
    "shared",
    "spread",
    "synchronized",
    "world_size",
    "wrapped",
]
