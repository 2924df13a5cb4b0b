"""Candidates, architectures and recipes: plain, frozen, validated data, read and written as YAML.

A `Candidate` is an `Architecture` and a `Recipe`. An architecture is a list of stages, a
stage a list of `Block` rows, a row one or more equal blocks. Nothing here imports torch;
`nars.networks.build.build` turns an architecture into a network.
"""

from nars.spec.architecture import Architecture, Block, Norm, unroll
from nars.spec.candidate import Candidate, NumClasses, Trainable, read
from nars.spec.recipe import Recipe, frozen_stages

__all__ = [
    "Architecture",
    "Block",
    "Candidate",
    "Norm",
    "NumClasses",
    "Recipe",
    "Trainable",
    "frozen_stages",
    "read",
    "unroll",
]
