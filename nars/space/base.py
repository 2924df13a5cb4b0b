"""A search space of any kind: named Optuna distributions, and the way from a genotype to a candidate.

`nars.space.space.Space` is that of classifiers. A task may bring another kind (`nars.tasks.SPACES`), which
decodes to candidates of its own and counts them.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from nars.documents import Document
from nars.errors import SpecError, UsageError, closest
from nars.space.costs import Costs
from nars.space.dimensions import Dimensions, is_recipe
from nars.space.genotypes import Genotype, Matrix, from_genotypes
from nars.space.values import (
    Scalar,
    Value,
    distribution,
    extremes,
    first_values,
    fixed_value,
    largest_values,
    probes,
)
from nars.spec import Trainable

__all__ = ["SearchSpace"]


class SearchSpace(Document):
    """Values, open or fixed, that decode to candidates. The order of the fields is that of the kind's YAML.

    Every kind has a `name`, the `num_classes` of its data, and a `recipe`.
    """

    recipe_kind: ClassVar[type[Document]]
    """The recipe of its candidates."""

    if TYPE_CHECKING:
        name: str
        num_classes: int
        recipe: dict[str, Value]

    @property
    @abstractmethod
    def _values(self) -> dict[str, Value]:
        """Every value, open or fixed, by its flat name; architecture first, then ``recipe.``."""

    @abstractmethod
    def decode(self, genotype: Mapping[str, Any], name: str = "unnamed") -> Trainable:
        """The candidate that a genotype describes. Raises `SpecError` for a missing dimension."""

    @abstractmethod
    def canonical(self, matrix: Matrix) -> Matrix:
        """The same candidates [n, d], every dimension that has no effect at its first value."""

    @abstractmethod
    def cost(self, matrix: Matrix) -> Costs:
        """MACs and parameters [n] of genotypes [n, d]."""

    @property
    def default_recipe(self) -> Mapping[str, Any]:
        """The recipe that people would try first, by flat name; the space may not have all of its values."""
        return {f"recipe.{name}": field.default for name, field in self.recipe_kind.model_fields.items()}

    def held(self, part: Literal["arch", "recipe"], file: str) -> Self:
        """The space in which one part of what a file describes is held, and the other is searched.

        Raises `UsageError` and `SpecError` for a file that does not describe it.
        """
        raise UsageError(f"space {self.name} has no {part} to hold")

    def _check_recipe(self, names: Iterable[str]) -> None:
        """Raise `ValueError` for a value of the recipe that is none of `names`."""
        for key in self.recipe:
            if key not in names:
                raise ValueError(f"unknown key {key!r} of recipe: {closest(key, names)}")

    def _check_values(self) -> None:
        """Raise `ValueError` if a choice, or an end or a step of a range, decodes to no valid candidate.

        The largest architecture has to be valid, too: what bounds products is not seen in one dimension.
        """
        first = first_values(self.distributions)
        for name, dist in self.distributions.items():
            for value in probes(dist):
                try:
                    self.decode(first | {name: value})
                except SpecError as error:
                    raise ValueError(f"{name} = {value!r}: {error}") from None
        largest = largest_values({name: self.distributions[name] for name in self.architecture_names})
        try:
            self.decode(first | largest)
        except SpecError as error:
            raise ValueError(f"the largest values together: {error}") from None

    def _complete(self, genotype: Mapping[str, Any]) -> dict[str, Any]:
        """Every value of a candidate by flat name. Raises `SpecError` for a missing dimension."""
        missing = self.distributions.keys() - genotype.keys()
        if missing:
            raise SpecError(f"genotype lacks {', '.join(sorted(missing))}")
        return {**self.fixed, **genotype}

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Every open dimension, architecture first."""
        found = {name: distribution(name, value) for name, value in self._values.items()}
        return {name: dist for name, dist in found.items() if dist is not None}

    @cached_property
    def dimensions(self) -> Dimensions:
        """The distributions as arrays."""
        return Dimensions.of(self.distributions)

    @cached_property
    def fixed(self) -> dict[str, Scalar]:
        """Every value that is not searched, by flat name."""
        return {
            name: fixed_value(value) for name, value in self._values.items() if name not in self.distributions
        }

    @property
    def names(self) -> Iterable[str]:
        """The flat names of all values, open or fixed."""
        return self._values.keys()

    @property
    def architecture_names(self) -> list[str]:
        return [name for name in self.distributions if not is_recipe(name)]

    @property
    def recipe_names(self) -> list[str]:
        return [name for name in self.distributions if is_recipe(name)]

    @property
    def sides(self) -> list[int]:
        """Every resolution of the space."""
        if "resolution" not in self.distributions:
            return [int(float(str(self.fixed["resolution"])))]
        dist: Any = self.distributions["resolution"]
        if isinstance(dist, CategoricalDistribution):
            return [int(float(str(side))) for side in dist.choices]
        return list(range(int(dist.low), int(dist.high) + 1, int(dist.step)))

    @property
    def most_epochs(self) -> int:
        """The longest training of a candidate."""
        return self._most("epochs")

    def _most(self, field: str) -> int:
        """The largest value of a field of the recipe."""
        name = f"recipe.{field}"
        if name in self.distributions:
            return int(max(extremes(self.distributions[name])))
        fixed: Any = self.fixed.get(name, self.recipe_kind.model_fields[field].default)
        return int(fixed)

    @cached_property
    def fingerprint(self) -> str:
        """A digest that changes whenever the meaning of a genotype does."""
        fields = self.model_dump(mode="json", exclude={"name"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def _first(self) -> NDArray[np.float64]:
        """The genotype [d] with every dimension at its first value."""
        return np.asarray(self.dimensions.from_unit(np.zeros((1, len(self.distributions))))[0])

    def statistics(self, matrix: Matrix) -> dict[str, NDArray[np.float64]]:
        """Numbers that are known without training: ``macs`` and ``params`` [n] of genotypes [n, d]."""
        cost = self.cost(matrix)
        return {"macs": cost.macs.astype(np.float64), "params": cost.params.astype(np.float64)}

    def statistics_of(self, genotype: Genotype) -> dict[str, float]:
        """The same numbers of a single genotype."""
        statistics = self.statistics(from_genotypes(self, [genotype]))
        return {name: float(values[0]) for name, values in statistics.items()}

    def for_classes(self, num_classes: int) -> Self:
        """The same space for data of this many classes."""
        return self.replace(num_classes=num_classes)
