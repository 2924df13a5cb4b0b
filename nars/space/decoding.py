"""The way from a genotype to the candidate that it describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from optuna.distributions import BaseDistribution

from nars.errors import SpecError
from nars.space.rows import RowSpace
from nars.space.values import Scalar, Value
from nars.spec import Architecture, Candidate, Recipe

__all__ = ["Declaration", "OpenOrFixed", "decode", "lr_factor"]


class OpenOrFixed(Protocol):
    """The values of a space by flat name."""

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]: ...

    @property
    def fixed(self) -> Mapping[str, Scalar]: ...


class Declaration(OpenOrFixed, Protocol):
    """The part of a `nars.space.Space` that decoding and encoding read."""

    @property
    def name(self) -> str: ...

    @property
    def in_channels(self) -> int: ...

    @property
    def norm_eps(self) -> float: ...

    @property
    def norm_momentum(self) -> float: ...

    @property
    def stages(self) -> tuple[tuple[RowSpace, ...], ...]: ...

    @property
    def recipe(self) -> Mapping[str, Value]: ...

    @property
    def lr_factor(self) -> Mapping[Any, float]: ...


def decode(space: Declaration, genotype: Mapping[str, Any], name: str) -> Candidate:
    """The candidate that a genotype describes, its architecture called `name`.

    Raises `SpecError` for a missing dimension.
    """
    missing = space.distributions.keys() - genotype.keys()
    if missing:
        raise SpecError(f"genotype lacks {', '.join(sorted(missing))}")
    values = {**space.fixed, **genotype}
    stages = [[block for row in stage for block in row.rows(values)] for stage in space.stages]
    architecture = Architecture(
        name=name,
        resolution=values["resolution"],
        in_channels=space.in_channels,
        norm_eps=space.norm_eps,
        norm_momentum=space.norm_momentum,
        stages=stages,
    )
    return Candidate(architecture=architecture, recipe=_recipe(space, values))


def lr_factor(space: Declaration, optimizer: str | None) -> float:
    """The factor from ``recipe.lr`` of a genotype to the recipe's own; None is the default optimizer."""
    return space.lr_factor.get(optimizer or Recipe.model_fields["optimizer"].default, 1.0)


def _recipe(space: Declaration, values: Mapping[str, Any]) -> Recipe:
    fields = {key: values[f"recipe.{key}"] for key in space.recipe}
    if isinstance(fields.get("lr"), int | float):  # what is no number is an error of the recipe
        fields["lr"] *= lr_factor(space, fields.get("optimizer"))
    return Recipe(**fields)
