"""The joint search space: named Optuna distributions and the way back to a candidate.

A space is a YAML file (see ``search_spaces/micro.yaml``) with the structure of an
architecture, where a value may be

- a scalar: fixed, not searched;
- a list: one of these;
- ``{low, high, step}`` or ``{low, high, log}``: a number in this range, ends included;
- ``{first, rest}``, for kernel and expansion: the first block of a row apart from the others.

What is open becomes a dimension with a flat name, such as ``stage3.kernel.rest`` or
``recipe.lr``. A *genotype* is one value for every dimension, as Optuna stores it; many of
them are a matrix (see `nars.space.genotypes`).
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import Field, model_validator

from nars.errors import SpecError, closest
from nars.space.batch_cost import SpaceCost
from nars.space.cost import Cost
from nars.space.genotypes import Genotype, Matrix, from_unit, numbers
from nars.space.rows import RowSpace
from nars.space.values import Scalar, Value, distribution, ends, only
from nars.spec import Architecture, Block, Candidate, Document, Recipe

__all__ = ["Space"]


class Space(Document):
    """Architecture and recipe dimensions that are searched together.

    Raises `SpecError` where a value could decode to something that is not a valid
    architecture or recipe.
    """

    kind: ClassVar[str] = "space"

    name: str = "unnamed"
    resolution: Value
    in_channels: int = 3
    num_classes: int = 1000
    """Outputs of the classifier, which count in its cost; a search sets those of its data."""
    stages: tuple[Annotated[tuple[RowSpace, ...], Field(min_length=1)], ...]
    recipe: dict[str, Value] = Field(default_factory=dict)
    """Values of `nars.spec.Recipe` fields; what is absent keeps its default."""
    lr_factor: dict[Literal["sgd", "rmsprop", "adamw"], float] = Field(default_factory=dict)
    """Optimizers work at different rates: ``recipe.lr`` times this is the recipe's lr."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        names = [row.name for row in self._row_spaces()]
        if len(set(names)) < len(names):
            raise ValueError(f"row names repeat: {', '.join(names)}")
        for key in self.recipe:
            if key not in Recipe.model_fields:
                raise ValueError(f"unknown key {key!r} of recipe: {closest(key, Recipe.model_fields)}")
        for name, dist in self.distributions.items():
            for value in ends(dist):
                self._check(name, value)
        return self

    def _check(self, name: str, value: Any) -> None:
        try:
            self.decode(self._first_genotype | {name: value})
        except SpecError as error:
            raise ValueError(f"{name} = {value!r}: {error}") from None

    def _row_spaces(self) -> Iterator[RowSpace]:
        return (row for stage in self.stages for row in stage)

    @cached_property
    def _values(self) -> dict[str, Value]:
        rows = (pair for row in self._row_spaces() for pair in row.values())
        recipe = ((f"recipe.{key}", value) for key, value in self.recipe.items())
        return dict(itertools.chain([("resolution", self.resolution)], rows, recipe))

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Every open dimension, architecture first."""
        found = {name: distribution(name, value) for name, value in self._values.items()}
        return {name: dist for name, dist in found.items() if dist is not None}

    @cached_property
    def fixed(self) -> dict[str, Scalar]:
        """Every value that is not searched, by flat name."""
        return {name: only(value) for name, value in self._values.items() if name not in self.distributions}

    @property
    def names(self) -> Iterable[str]:
        """The flat names of all values, open or fixed."""
        return self._values.keys()

    @cached_property
    def _first_genotype(self) -> Genotype:
        return {name: next(ends(dist)) for name, dist in self.distributions.items()}

    @property
    def architecture_names(self) -> list[str]:
        return [name for name in self.distributions if not name.startswith("recipe.")]

    @property
    def recipe_names(self) -> list[str]:
        return [name for name in self.distributions if name.startswith("recipe.")]

    @cached_property
    def fingerprint(self) -> str:
        """Changes with anything that changes what a genotype means."""
        fields = self.model_dump(mode="json", exclude={"name"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]

    def decode(self, genotype: Mapping[str, Any], name: str = "unnamed") -> Candidate:
        """The candidate that a genotype stands for. Raises `SpecError` for a missing dimension."""
        missing = self.distributions.keys() - genotype.keys()
        if missing:
            raise SpecError(f"genotype lacks {', '.join(sorted(missing))}")
        values = self.fixed | dict(genotype)
        stages = [[block for row in stage for block in row.rows(values)] for stage in self.stages]
        architecture = Architecture(
            name=name, resolution=values["resolution"], in_channels=self.in_channels, stages=stages
        )
        return Candidate(architecture=architecture, recipe=self._decode_recipe(values))

    def _decode_recipe(self, values: Mapping[str, Any]) -> Recipe:
        fields = {key: values[f"recipe.{key}"] for key in self.recipe}
        if "lr" in fields:
            fields["lr"] *= self._lr_factor(fields.get("optimizer"))
        return Recipe(**fields)

    def _lr_factor(self, optimizer: Any) -> float:
        return self.lr_factor.get(optimizer or Recipe.model_fields["optimizer"].default, 1.0)

    def encode(self, candidate: Candidate) -> Genotype:
        """The genotype that decodes to the same network and recipe.

        Raises `SpecError` that names the first dimension outside the space.
        """
        architecture = candidate.architecture
        values: dict[str, Any] = {"resolution": architecture.resolution}
        if len(architecture.stages) != len(self.stages):
            raise SpecError(f"{len(architecture.stages)} stages; space {self.name} has {len(self.stages)}")
        blocks = [(index, block) for index, _, block in architecture.blocks()]
        for index, rows in enumerate(self.stages):
            values |= self._encode_stage(rows, [block for at, block in blocks if at == index], index)
        recipe = candidate.recipe
        for key in self.recipe:
            value = getattr(recipe, key)
            values[f"recipe.{key}"] = value / self._lr_factor(recipe.optimizer) if key == "lr" else value
        for name, value in values.items():
            if not self._holds(name, value):
                raise SpecError(f"{name} = {value!r} is outside space {self.name}")
        return {name: values[name] for name in self.distributions}

    def _encode_stage(self, rows: tuple[RowSpace, ...], blocks: list[Block], index: int) -> dict[str, Any]:
        """Deal the blocks of a stage out to its rows; the first deal that fits."""
        for cuts in itertools.combinations(range(1, len(blocks)), len(rows) - 1):
            bounds = [0, *cuts, len(blocks)]
            values: dict[str, Any] = {}
            for row, start, end in zip(rows, bounds, bounds[1:], strict=False):
                values |= self._encode_row(row, blocks[start:end])
            if all(self._holds(name, value) for name, value in values.items()) and list(
                _single(block for row in rows for block in row.rows(self._filled(values)))
            ) == list(blocks):
                return values
        raise SpecError(f"stage {index} of the architecture is outside space {self.name}")

    def _encode_row(self, row: RowSpace, blocks: list[Block]) -> dict[str, Any]:
        first, rest = blocks[0], blocks[-1]
        values: dict[str, Any] = {}
        for name, _ in row.values():
            _, key, *part = name.split(".")
            source = rest if part == ["rest"] and len(blocks) > 1 else first
            if part == ["rest"] and len(blocks) == 1:
                values[name] = self._first_genotype.get(name, self.fixed.get(name))
            else:
                values[name] = len(blocks) if key == "depth" else getattr(source, key)
        return values

    def _filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self.fixed | self._first_genotype | dict(values)

    def _holds(self, name: str, value: Any) -> bool:
        if name in self.fixed:
            fixed = self.fixed[name]
            return bool(value == fixed)
        dist = self.distributions[name]
        if isinstance(dist, CategoricalDistribution):
            return value in dist.choices
        if value is None or isinstance(value, str):
            return False
        assert isinstance(dist, IntDistribution | FloatDistribution)
        slack = 1e-9 * abs(value) if isinstance(dist, FloatDistribution) else 0
        if not dist.low - slack <= value <= dist.high + slack:
            return False
        steps = (value - dist.low) / (dist.step or 1)
        return dist.step is None or abs(steps - round(steps)) <= 1e-8

    def fix(self, architecture: Architecture | None = None, recipe: Recipe | None = None) -> Space:
        """The same space with the architecture, the recipe or both held."""
        changes: dict[str, Any] = {}
        if architecture is not None:
            stages = [
                [_row_space(f"stage{index}_{at}", row) for at, row in enumerate(stage)]
                for index, stage in enumerate(architecture.stages)
            ]
            changes |= {
                "resolution": architecture.resolution,
                "in_channels": architecture.in_channels,
                "stages": stages,
            }
        if recipe is not None:
            changes |= {"recipe": recipe.model_dump(), "lr_factor": {}}
        return self.replace(**changes)

    def canonical(self, matrix: Matrix) -> Matrix:
        """The same candidates [n, d], every dimension that has no effect at its first value.

        These are the ``rest`` values of a row with a single block and the decay of an EMA that is
        off. Two genotypes are the same candidate where their canonical rows agree.
        """
        matrix = matrix.copy()
        first = self._lowest
        index = {name: i for i, name in enumerate(self.distributions)}

        def reset(names: Iterable[str], where: NDArray[np.bool_]) -> None:
            for i in (index[name] for name in names if name in index):
                matrix[:, i] = np.where(where, first[i], matrix[:, i])

        for row in self._row_spaces():
            rest = [name for name, _ in row.values() if name.endswith(".rest")]
            reset(rest, self._numbers(matrix, f"{row.name}.depth") == 1)
        if "recipe.ema" in self.names:
            reset(["recipe.ema_decay"], self._numbers(matrix, "recipe.ema") == 0)
        return matrix

    @cached_property
    def _lowest(self) -> tuple[float, ...]:
        """The first value of every dimension; no array, which would not compare."""
        return tuple(from_unit(self, np.zeros((1, len(self.distributions))))[0].tolist())

    @cached_property
    def _count(self) -> SpaceCost:
        rows = list(self._row_spaces())
        return SpaceCost(rows, self.distributions, self.fixed, self.in_channels, self.num_classes)

    def cost(self, matrix: Matrix) -> Cost:
        """MACs and parameters of every genotype [n, d]: a `Cost` of arrays [n]."""
        return self._count(matrix)

    def statistics(self, matrix: Matrix) -> dict[str, NDArray[np.float64]]:
        """What is known of every genotype [n, d] without training it."""
        cost = self.cost(matrix)
        return {"macs": cost.macs.astype(np.float64), "params": cost.params.astype(np.float64)}

    def _numbers(self, matrix: Matrix, name: str) -> NDArray[np.float64]:
        """The value of a dimension in every genotype [n], or of a fixed one [], as a number."""
        if name in self.fixed:
            return np.asarray(self.fixed[name], dtype=np.float64)
        return numbers(self, matrix, name)


def _single(rows: Iterator[Block]) -> Iterator[Block]:
    """The blocks of the rows one by one, as `Architecture.blocks` gives them."""
    for row in rows:
        for repeat in range(row.repeats):
            yield row.replace(repeats=1) if repeat == 0 else row.replace(repeats=1, stride=1, padding=None)


def _row_space(name: str, row: Block) -> RowSpace:
    if row.stride == -2:
        raise SpecError("an architecture that upsamples cannot be searched around")
    fields = row.model_dump()
    return RowSpace(name=name, depth=fields.pop("repeats"), **fields)
