"""The way back from a candidate to its genotype: the inverse of `nars.space.decoding`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from nars.errors import SpecError
from nars.space.decoding import Declaration, OpenOrFixed, lr_factor
from nars.space.genotypes import Genotype
from nars.space.rows import RowSpace
from nars.space.values import contains, first_values
from nars.spec import Block, Candidate, Recipe, unroll

__all__ = ["allows", "encode", "encode_stage"]

Values = dict[str, Any]
"""Open and fixed values by flat name."""


def encode(space: Declaration, candidate: Candidate) -> Genotype:
    """The genotype that decodes to the same network and recipe.

    Raises `SpecError` that names the first dimension outside the space.
    """
    architecture = candidate.architecture
    values: Values = {"resolution": architecture.resolution}
    for name in ("norm_eps", "norm_momentum"):
        if getattr(architecture, name) != getattr(space, name):
            raise SpecError(f"{name} = {getattr(architecture, name)!r} is outside space {space.name}")
    if len(architecture.stages) != len(space.stages):
        raise SpecError(f"{len(architecture.stages)} stages; space {space.name} has {len(space.stages)}")
    for index, (rows, stage) in enumerate(zip(space.stages, architecture.stages, strict=True)):
        dealt = encode_stage(space, rows, _single_blocks(stage))
        if dealt is None:
            raise SpecError(f"stage {index} of the architecture is outside space {space.name}")
        values |= dealt
    values |= _encode_recipe(space, candidate.recipe)
    for name, value in values.items():
        if not allows(space, name, value):
            raise SpecError(f"{name} = {value!r} is outside space {space.name}")
    return {name: values[name] for name in space.distributions}


def _encode_recipe(space: Declaration, recipe: Recipe) -> Values:
    values = {f"recipe.{key}": getattr(recipe, key) for key in space.recipe}
    if "recipe.lr" in values:
        values["recipe.lr"] /= lr_factor(space, recipe.optimizer)
    return values


def encode_stage(space: OpenOrFixed, rows: Sequence[RowSpace], blocks: Sequence[Block]) -> Values | None:
    """Deal the blocks of a stage out to its rows: the first deal that fits, None if none does."""
    defaults = {**space.fixed, **first_values(space.distributions)}
    for cuts in itertools.combinations(range(1, len(blocks)), len(rows) - 1):
        bounds = itertools.pairwise([0, *cuts, len(blocks)])
        values: Values = {}
        for row, (start, end) in zip(rows, bounds, strict=True):
            values |= _encode_row(row, blocks[start:end], defaults)
        if not all(allows(space, name, value) for name, value in values.items()):
            continue
        decoded = [block for row in rows for block in row.rows(defaults | values)]
        if _single_blocks(decoded) == list(blocks):
            return values
    return None


def _encode_row(row: RowSpace, blocks: Sequence[Block], defaults: Mapping[str, Any]) -> Values:
    """The values of one row; those of the blocks after the first are `defaults` if there are none."""
    values: Values = {}
    for name, _ in row.values():
        _, key, *part = name.split(".")
        if key == "depth":
            values[name] = len(blocks)
        elif part != ["rest"]:
            values[name] = getattr(blocks[0], key)
        else:
            values[name] = getattr(blocks[-1], key) if len(blocks) > 1 else defaults[name]
    return values


def _single_blocks(rows: Sequence[Block]) -> list[Block]:
    return [block for _, _, block in unroll([rows], in_channels=1)]


def allows(space: OpenOrFixed, name: str, value: Any) -> bool:
    """Whether a space has a value under this flat name."""
    if name in space.fixed:
        return bool(value == space.fixed[name])
    return contains(space.distributions[name], value)
