"""Simple ways to a smaller network: fewer blocks, of which all keep the same share of their hidden channels.

It is what people do by hand, and hard to beat with a few trainings: EfficientNet-Lite0 cut so at 96 pixels to
32 M MACs was right on .881 of 755 photos (experiments/photo_table). A search that begins with such cuts does
not have to find them first, and improves on them.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from optuna.distributions import CategoricalDistribution

from nars.errors import SpecError
from nars.space import Space
from nars.space.base import SearchSpace
from nars.space.decoding import lr_factor
from nars.space.feasible import Limits, feasible
from nars.space.genotypes import Domain, Genotype, from_genotypes, to_genotypes
from nars.space.values import first_values, nearest
from nars.spec import Architecture, Candidate, Recipe

__all__ = ["Cut", "best_cuts", "cuts", "nearest_recipe", "wholes_of"]

_FIRST = 2
"""Cuts that a search trains first."""

_SHARES = np.arange(100, 0, -1) / 100
"""Shares of the hidden channels, from all of them."""

_BEST_SHARE = 0.5
"""The share that a limit is met with best, over the resolutions: of EfficientNet-Lite0 within 30 M MACs,
.47 at 80 pixels were right on more photos than all at 64 and .36 at 96, six epochs each."""

_SHORTER = 0.05
"""A share may be so much farther from the best for every step of a `Depth` that it saves: within 8 M MACs,
one block in each late row and .48 at 48 pixels were better than all blocks and .28, within 30 M all blocks
and .48 at 80 pixels better than one in each late row and .56 at 96 (`experiments.classifier_cuts`)."""

Depth = Literal["whole", "shorter", "shortest"]
"""The blocks that are kept: all, only one of each row in the later half of the rows, or one of each row."""

_GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of this, without their whole parts, are spread evenly over 0..1 however many there are."""


@dataclass(frozen=True)
class Cut:
    """A smaller network of the same kind as a whole one."""

    genotype: Genotype
    share: float
    """The share of the hidden channels that it keeps, 0..1."""
    depth: Depth

    def has_all_of(self, other: Cut) -> bool:
        """Whether both keep all channels and this one has the other's blocks."""
        depths = get_args(Depth)
        return self.share == other.share == 1 and depths.index(self.depth) <= depths.index(other.depth)


def best_cuts(
    found: Iterable[Cut], count: int = _FIRST, known: Sequence[tuple[Genotype, float]] = ()
) -> list[Genotype]:
    """The genotypes of the `count` most promising cuts, the best first; fewer if less are `found`.

    Best are those of the largest value, as far as any is `known`, and then those of about half the channels.
    """
    worth = [(cut, _value(cut, known)) for cut in found]
    ranked = sorted(worth, key=lambda pair: (-pair[1], _loss(pair[0])))
    return [cut.genotype for cut, _ in ranked[:count]]


def cuts(space: SearchSpace, wholes: Iterable[Genotype], domain: Domain, limits: Limits) -> list[Cut]:
    """Networks that are cut to meet the limits, each with the largest share of channels that they allow.

    `wholes` are the parent at several sizes of images, the largest first; of each there is one cut of every
    `Depth`, without those of which a cut for images as large has every channel. `domain` is the space, or
    one that knows more statistics.
    """
    found: list[Cut] = []
    for depth, base in itertools.chain.from_iterable(_bases(space, whole) for whole in wholes):
        matrix = space.canonical(from_genotypes(space, [_cut(space, base, share) for share in _SHARES]))
        within = np.flatnonzero(feasible(domain, matrix, limits))
        if len(within):
            (genotype,) = to_genotypes(space, matrix[within[:1]])
            cut = Cut(genotype, float(_SHARES[within[0]]), depth)
            if not any(other.has_all_of(cut) for other in found):
                found.append(cut)
    return found


def wholes_of(space: Space, architecture: Architecture, recipe: Recipe) -> list[Genotype]:
    """Genotypes of a classifier with `recipe` at each resolution of the space, the largest first.

    A value of the recipe that the space does not have becomes the nearest that it has. The list is empty if
    no network of this `architecture` is in the space.
    """
    values = {f"recipe.{key}": getattr(recipe, key) for key in space.recipe}
    if "recipe.lr" in values:
        values["recipe.lr"] /= lr_factor(space, recipe.optimizer)
    allowed = space.decode(nearest_recipe(space, values)).recipe
    found = []
    for side in reversed(space.sides):
        whole = Candidate(architecture=architecture.replace(resolution=side), recipe=allowed)
        with contextlib.suppress(SpecError):  # it is not in the space
            found.append(space.encode(whole))
    return found


def nearest_recipe(space: SearchSpace, values: Mapping[str, Any]) -> Genotype:
    """A genotype whose recipe is the nearest to `values`, by flat name, that the space has."""
    recipe = {name: nearest(space.distributions[name], values[name]) for name in space.recipe_names}
    return first_values(space.distributions) | recipe


def _value(cut: Cut, known: Sequence[tuple[Genotype, float]]) -> float:
    return next((value for genotype, value in known if genotype == cut.genotype), -math.inf)


def _loss(cut: Cut) -> float:
    return abs(cut.share - _BEST_SHARE) + _SHORTER * get_args(Depth).index(cut.depth)


def _bases(space: SearchSpace, whole: Genotype) -> list[tuple[Depth, Genotype]]:
    """The whole with fewer and fewer blocks, as far as the depths of its rows are open."""
    names = [name for name in space.architecture_names if name.endswith(".depth")]
    found: list[tuple[Depth, Genotype]] = []
    for depth, kept in zip(get_args(Depth), (len(names), (len(names) + 1) // 2, 0), strict=True):
        base = whole | {name: nearest(space.distributions[name], 1) for name in names[kept:]}
        if all(base != other for _, other in found):
            found.append((depth, base))
    return found


def _cut(space: SearchSpace, whole: Genotype, share: float) -> Genotype:
    """The genotype with a share of the hidden channels of every block that is open.

    Expansions have steps, which all blocks would take at the same share. Here each takes its own a little
    earlier or later, so a limit is met closely.
    """
    genotype = dict(whole)
    names = [name for name in space.architecture_names if ".expansion" in name]
    for index, name in enumerate(names):
        dist: Any = space.distributions[name]
        if isinstance(dist, CategoricalDistribution) or dist.step is None:
            genotype[name] = nearest(dist, share * whole[name])
        else:
            steps = math.floor(share * whole[name] / dist.step + _GOLDEN * (index + 1) % 1)
            genotype[name] = nearest(dist, min(whole[name], steps * dist.step))
    return genotype
