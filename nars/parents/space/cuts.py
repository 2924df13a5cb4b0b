"""Simple ways to a smaller network: all blocks of the parent keep the same share of their hidden channels.

It is what people do by hand, and hard to beat with a few trainings: EfficientNet-Lite0 cut so at 96 pixels to
32 M MACs was right on .881 of 755 photos (experiments/photo_table). A search that begins with such cuts does
not have to find them first, and improves on them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from nars.errors import SpecError
from nars.space import Space
from nars.space.decoding import lr_factor
from nars.space.feasible import Limits, feasible
from nars.space.genotypes import Domain, Genotype, from_genotypes, to_genotypes
from nars.space.values import first_values
from nars.spec import Architecture, Candidate, Recipe

__all__ = ["uniform_cuts"]

_SHARES = np.arange(100, 0, -1) / 100
"""Shares of the hidden channels, from all of them."""

_BEST_SHARE = 0.5
"""The share that a limit is met with best, over the resolutions: of EfficientNet-Lite0 within 30 M MACs,
.47 at 80 pixels were right on more photos than all at 64 and .36 at 96, six epochs each."""

_SHORTER = 0.1
"""Shares of this much farther from the best are as good if no stage then has to go without its last block."""

_GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of this, without their whole parts, are spread evenly over 0..1 however many there are."""


def uniform_cuts(
    space: Space, architecture: Architecture, recipe: Recipe, domain: Domain, limits: Limits, count: int = 2
) -> list[Genotype]:
    """Genotypes of the parent with `recipe`, cut to meet the limits: the `count` most promising.

    Each cut keeps the largest share of the hidden channels that the limits allow; there is one with all
    blocks, and one without the last block of each row of several. `domain` is the space, or one that knows
    more statistics. A value of the recipe that the space does not have becomes the nearest that it has. The
    list is empty if no network of this `architecture` is in the space, and shorter if the limits leave less.
    """
    cuts = []
    for side, shorter in itertools.product(reversed(space.sides), (False, True)):
        try:
            whole = _whole(space, architecture.replace(resolution=side), recipe)
        except SpecError:  # it is not in the space
            continue
        base = _shortened(space, whole) if shorter else whole
        if shorter and base == whole:
            continue
        matrix = space.canonical(from_genotypes(space, [_cut(space, base, share) for share in _SHARES]))
        within = np.flatnonzero(feasible(domain, matrix, limits))
        if len(within):
            loss = abs(_SHARES[within[0]] - _BEST_SHARE) + _SHORTER * shorter
            cuts.append((loss, matrix[within[0]]))
    best = sorted(cuts, key=lambda cut: cut[0])[:count]
    return to_genotypes(space, np.array([row for _, row in best])) if best else []


def _whole(space: Space, architecture: Architecture, recipe: Recipe) -> Genotype:
    """The genotype of the parent itself. Raises `SpecError` if it is not in the space."""
    values = {f"recipe.{key}": getattr(recipe, key) for key in space.recipe}
    if "recipe.lr" in values:
        values["recipe.lr"] /= lr_factor(space, recipe.optimizer)
    trained = {name: _nearest(space.distributions[name], values[name]) for name in space.recipe_names}
    allowed = space.decode({**first_values(space.distributions), **trained}).recipe
    return space.encode(Candidate(architecture=architecture, recipe=allowed))


def _shortened(space: Space, whole: Genotype) -> Genotype:
    """The genotype without the last block of each row whose depth is open."""
    names = [name for name in space.architecture_names if name.endswith(".depth")]
    return whole | {name: _nearest(space.distributions[name], whole[name] - 1) for name in names}


def _cut(space: Space, whole: Genotype, share: float) -> Genotype:
    """The genotype with a share of the hidden channels of every block that is open.

    Expansions have steps, which all blocks would take at the same share. Here each takes its own a little
    earlier or later, so a limit is met closely.
    """
    genotype = dict(whole)
    names = [name for name in space.architecture_names if ".expansion" in name]
    for index, name in enumerate(names):
        dist: Any = space.distributions[name]
        if isinstance(dist, CategoricalDistribution) or dist.step is None:
            genotype[name] = _nearest(dist, share * whole[name])
        else:
            steps = math.floor(share * whole[name] / dist.step + _GOLDEN * (index + 1) % 1)
            genotype[name] = _nearest(dist, min(whole[name], steps * dist.step))
    return genotype


def _nearest(dist: BaseDistribution, value: Any) -> Any:
    """The value of a dimension that is nearest to another one; the first of choices that are no numbers."""
    values: Sequence[Any]
    if isinstance(dist, CategoricalDistribution):
        values = dist.choices
        if value in values or not all(isinstance(other, int | float) for other in values):
            return value if value in values else values[0]
        return min(values, key=lambda other: abs(other - value))
    found: Any = dist
    inside = min(max(value, found.low), found.high)
    if found.step is None:
        return inside
    return type(found.low)(found.low + found.step * round((inside - found.low) / found.step))
