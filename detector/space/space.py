"""The joint search space of detectors: trunk, heads, settings and recipe, as named Optuna distributions.

A space is a YAML file with the structure of a detector (see ``fbnetv3od.yaml``); `nars.space.space`
documents how its values may be open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.counting import SpaceCost
from detector.space.decoding import RECIPE, decode
from detector.space.held import detector_in, held_detector, held_recipe, recipe_in
from detector.space.inverse import encode, encode_recipe
from detector.space.reference import FINE_TUNING
from detector.space.styles import Style
from detector.training.hyperparameters import Training
from nars.documents import Document
from nars.errors import UsageError
from nars.foreign.limits import MOST_ROWS
from nars.space.base import SearchSpace
from nars.space.canonical import CanonicalForm
from nars.space.costs import Costs
from nars.space.genotypes import Genotype, Matrix
from nars.space.rows import RowSpace
from nars.space.values import Value, as_numbers
from nars.spec import NumClasses

__all__ = ["DetectorSpace"]

_Rows = Annotated[tuple[RowSpace, ...], Field(min_length=1)]

_SETTINGS = ("pooler_resolution", "proposals", "sizes", "ratios", "fpn", "style")
"""Fields of a space that are values of the detector, next to its resolution."""

_NO_NUMBERS = ("optimizer", "ema", "amp")
"""Values of a recipe that are no numbers."""


class DetectorSpace(SearchSpace):
    """Dimensions of a detector and of its training that are searched together.

    Raises `SpecError` if a value could decode to something that is not a valid detector or recipe.
    """

    kind: ClassVar[str] = "detector_space"
    recipe_kind: ClassVar[type[Document]] = Training

    name: str = "unnamed"
    num_classes: NumClasses = 80
    """Classes, which count in the cost of the heads; a search sets those of its data."""
    resolution: Value
    """Pixels of the shorter side of an image; the longer side is at most some 10/7 of it."""
    pooler_resolution: Value = 6
    """Side of the regions that the box head takes, in cells."""
    proposals: Value = 30
    """Regions that the box head sees in evaluation."""
    sizes: Value = 5
    """Anchors of each ratio at a cell of a map."""
    ratios: Value = 3
    """Ratios of anchors."""
    fpn: Value = None
    """Channels of a feature pyramid; null means none."""
    styles: dict[str, Style] = Field(default_factory=dict)
    """The choices that all blocks of a network share, by name; empty leaves the rows as they are."""
    style: Value = None
    """The name of one of `styles`, for all blocks of a network."""
    norm_eps: float = 1e-5
    """The norms of every network have this and `norm_momentum`, unless a style has others."""
    norm_momentum: float = 0.1
    trunk: tuple[_Rows, ...]
    """Stages from the image to C4."""
    rpn: _Rows
    """The tower of the region proposal network."""
    box: _Rows
    """The box head."""
    mask: tuple[RowSpace, ...] = ()
    """The mask head; empty is a space of detectors that do not segment."""
    recipe: dict[str, Value] = Field(default_factory=dict)
    """Values of `detector.training.hyperparameters.Training` and of the settings that only a training
    has, see `detector.space.decoding`; an absent one keeps its default."""
    lr_factor: dict[Literal["sgd", "rmsprop", "adamw"], float] = Field(default_factory=dict)
    """Optimizers work at different rates: the recipe's lr is ``recipe.lr`` times this."""

    @field_validator("resolution", "pooler_resolution", "proposals", "sizes", "ratios", "fpn", mode="before")
    @classmethod
    def _of_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        return as_numbers(value, str(info.field_name))

    @field_validator("recipe", mode="before")
    @classmethod
    def _recipe_of_numbers(cls, recipe: Any) -> Any:
        if not isinstance(recipe, dict):
            return recipe
        numeric = [key for key in recipe if key in RECIPE and key not in _NO_NUMBERS]
        return recipe | {key: as_numbers(recipe[key], f"recipe.{key}") for key in numeric}

    @model_validator(mode="after")
    def _rules(self) -> Self:
        names = [row.name for row in self.rows()]
        if len(set(names)) < len(names):
            raise ValueError(f"row names repeat: {', '.join(names)}")
        if len(names) > MOST_ROWS:
            raise ValueError(f"has {len(names)} rows, more than {MOST_ROWS}")
        self._check_style()
        self._check_recipe(RECIPE)
        self._check_values()
        return self

    def _check_style(self) -> None:
        known: list[Value] = [*self.styles] or [None]
        for name in self.style if isinstance(self.style, tuple) else (self.style,):
            if name not in known:
                raise ValueError(
                    f"style {name!r} is none of styles: {', '.join(self.styles) or 'there is none'}"
                )

    def rows(self) -> Iterator[RowSpace]:
        """Every row of the trunk and the heads, in order."""
        for stage in self.trunk:
            yield from stage
        yield from (*self.rpn, *self.box, *self.mask)

    @cached_property
    def _values(self) -> dict[str, Value]:
        values: dict[str, Value] = {"resolution": self.resolution}
        values |= {name: getattr(self, name) for name in _SETTINGS}
        for row in self.rows():
            values |= dict(row.values())
        return values | {f"recipe.{key}": value for key, value in self.recipe.items()}

    def decode(self, genotype: Mapping[str, Any], name: str = "unnamed") -> DetectorCandidate:
        """The candidate that a genotype describes. Raises `SpecError` for a missing dimension."""
        return decode(self, self._complete(genotype), name)

    def encode(self, candidate: DetectorCandidate) -> Genotype:
        """The genotype that decodes to the same detector and recipe.

        Anchors are encoded as their number, since a training fits them. Raises `SpecError` that names the
        first dimension outside the space.
        """
        return encode(self, candidate)

    @property
    def default_recipe(self) -> Mapping[str, Any]:
        """That of every fine-tuning, by flat name; the space may not have all of its values."""
        return encode_recipe(self, FINE_TUNING, Settings())

    @cached_property
    def _canonical(self) -> CanonicalForm:
        stages = len(self.trunk)
        return CanonicalForm(self.rows(), self.distributions, self.fixed, self._first, stages)

    @cached_property
    def _count(self) -> SpaceCost:
        return SpaceCost(self)

    def canonical(self, matrix: Matrix) -> Matrix:
        return self._canonical(matrix)

    def cost(self, matrix: Matrix) -> Costs:
        return self._count(matrix)

    def held(self, part: Literal["arch", "recipe"], file: str) -> Self:
        """The space with the recipe or the detector of a candidate's file, or with a published detector."""
        if part == "recipe":
            return self.replace(**held_recipe(recipe_in(file)))
        return self.replace(**held_detector(detector_in(file)))

    def segmenting(self, mask: bool) -> Self:
        """The space of detectors that segment, or do not. Raises `UsageError` if it has no mask head."""
        if mask and not self.mask:
            raise UsageError(f"space {self.name} has no mask head to search: leave out --mask")
        return self if mask else self.replace(mask=())
