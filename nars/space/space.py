"""The joint search space: named Optuna distributions and the way back to a candidate.

A space is a YAML file (see ``search_spaces/micro.yaml``) with the structure of an
architecture. In it, a value may be

- a scalar: fixed, not searched;
- a list: one of these;
- ``{low, high, step}`` or ``{low, high, log}``: a number in this range, ends included;
- ``{first, rest}``, for kernel and expansion: one for the first block of a row, one for the others.

An open value becomes a dimension with a flat name, such as ``stage3.kernel.rest`` or
``recipe.lr``. A *genotype* is one value for every dimension, as Optuna stores it; many of
them are a matrix (see `nars.space.genotypes`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from nars.documents import Document
from nars.foreign.limits import MOST_CHANNELS, MOST_ROWS
from nars.space.base import SearchSpace
from nars.space.batch_cost import SpaceCost
from nars.space.canonical import CanonicalForm
from nars.space.costs import Costs
from nars.space.decoding import decode
from nars.space.genotypes import Genotype, Matrix
from nars.space.inverse import encode
from nars.space.rows import RowSpace, row_space
from nars.space.values import Value, as_numbers
from nars.spec import Architecture, Candidate, NumClasses, Recipe

__all__ = ["Space"]


class Space(SearchSpace):
    """Architecture and recipe dimensions that are searched together.

    Raises `SpecError` if a value could decode to something that is not a valid architecture or
    recipe.
    """

    kind: ClassVar[str] = "space"
    recipe_kind: ClassVar[type[Document]] = Recipe
    later_fields: ClassVar[tuple[str, ...]] = ("norm_eps", "norm_momentum")

    name: str = "unnamed"
    resolution: Value
    in_channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)] = 3
    norm_eps: float = Architecture.model_fields["norm_eps"].default
    """The norms of every network have this and `norm_momentum`; see `nars.spec.Architecture`."""
    norm_momentum: float = Architecture.model_fields["norm_momentum"].default
    num_classes: NumClasses = 1000
    """Outputs of the classifier, which count in its cost; a search sets those of its data."""
    stages: tuple[Annotated[tuple[RowSpace, ...], Field(min_length=1)], ...]
    recipe: dict[str, Value] = Field(default_factory=dict)
    """Values of `nars.spec.Recipe` fields; an absent field keeps its default."""
    lr_factor: dict[Literal["sgd", "rmsprop", "adamw"], float] = Field(default_factory=dict)
    """Optimizers work at different rates: the recipe's lr is ``recipe.lr`` times this."""

    @field_validator("resolution", mode="before")
    @classmethod
    def _resolution_of_numbers(cls, value: Any) -> Any:
        return as_numbers(value, "resolution")

    @field_validator("recipe", mode="before")
    @classmethod
    def _recipe_of_numbers(cls, recipe: Any) -> Any:
        if not isinstance(recipe, dict):
            return recipe
        fields = Recipe.model_fields
        numeric = {key for key in recipe if key in fields and fields[key].annotation in (int, float)}
        return {
            key: as_numbers(value, f"recipe.{key}") if key in numeric else value
            for key, value in recipe.items()
        }

    @model_validator(mode="after")
    def _rules(self) -> Self:
        names = [row.name for row in self._row_spaces()]
        if len(set(names)) < len(names):
            raise ValueError(f"row names repeat: {', '.join(names)}")
        if len(names) > MOST_ROWS:
            raise ValueError(f"has {len(names)} rows, more than {MOST_ROWS}")
        self._check_recipe(Recipe.model_fields)
        self._check_values()
        return self

    def _row_spaces(self) -> Iterator[RowSpace]:
        return (row for stage in self.stages for row in stage)

    @cached_property
    def _values(self) -> dict[str, Value]:
        rows = (pair for row in self._row_spaces() for pair in row.values())
        recipe = ((f"recipe.{key}", value) for key, value in self.recipe.items())
        return dict(itertools.chain([("resolution", self.resolution)], rows, recipe))

    def decode(self, genotype: Mapping[str, Any], name: str = "unnamed") -> Candidate:
        """The candidate that a genotype describes. Raises `SpecError` for a missing dimension."""
        return decode(self, genotype, name)

    def encode(self, candidate: Candidate) -> Genotype:
        """The genotype that decodes to the same network and recipe.

        Raises `SpecError` that names the first dimension outside the space.
        """
        return encode(self, candidate)

    def fix(self, architecture: Architecture | None = None, recipe: Recipe | None = None) -> Space:
        """The same space with the architecture, the recipe or both held."""
        changes: dict[str, Any] = {}
        if architecture is not None:
            stages = [
                [row_space(f"stage{index}_{at}", row) for at, row in enumerate(stage)]
                for index, stage in enumerate(architecture.stages)
            ]
            changes |= {
                "resolution": architecture.resolution,
                "in_channels": architecture.in_channels,
                "norm_eps": architecture.norm_eps,
                "norm_momentum": architecture.norm_momentum,
                "stages": stages,
            }
        if recipe is not None:
            changes |= {"recipe": recipe.model_dump(), "lr_factor": {}}
        return self.replace(**changes)

    @cached_property
    def _canonical(self) -> CanonicalForm:
        held = {**self.default_recipe, **self.fixed}
        return CanonicalForm(self._row_spaces(), self.distributions, held, self._first, len(self.stages))

    @cached_property
    def _count(self) -> SpaceCost:
        rows = list(self._row_spaces())
        return SpaceCost(rows, self.distributions, self.fixed, self.in_channels, self.num_classes)

    def canonical(self, matrix: Matrix) -> Matrix:
        return self._canonical(matrix)

    def cost(self, matrix: Matrix) -> Costs:
        return self._count(matrix)
