"""Values of a space file: fixed, one of a list, a range, or one for the first block and one for the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Self

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import Discriminator, Tag, model_validator

from nars.documents import Frozen
from nars.foreign.limits import MOST_CHOICES, MOST_NUMBER

__all__ = [
    "FirstRest",
    "FirstRestValue",
    "Range",
    "Scalar",
    "Value",
    "as_numbers",
    "contains",
    "distribution",
    "extremes",
    "first_values",
    "fixed_value",
    "largest_values",
    "nearest",
    "probes",
]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
"""A number as text."""

_MOST_MOVES = 64
"""How often a low end moves to the next number in search of one from which steps lead to the high end."""

Scalar = bool | int | float | str | None
"""A value of one dimension."""


class Range(Frozen):
    """Numbers from `low` to `high`, both included; integers if these and the step are."""

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if max(abs(self.low), abs(self.high), abs(self.step or 0)) > MOST_NUMBER:
            raise ValueError(f"a number of a range is beyond {MOST_NUMBER}")
        if self.low > self.high:
            raise ValueError(f"low is above high: {self.low} > {self.high}")
        if self.log and (self.step is not None or self.low <= 0):
            raise ValueError(f"a log range has no step and starts above 0, got {self.low}, step {self.step}")
        if self.step is not None and not (self.step > 0 and _is_whole((self.high - self.low) / self.step)):
            raise ValueError(f"step {self.step} does not lead from {self.low} to {self.high}")
        return self


def _is_whole(number: float) -> bool:
    """Whether a number is an integer, up to rounding."""
    return abs(number - round(number)) < 1e-6


def _form(value: Any) -> str:
    """The tag of the kind of value, which pydantic then validates."""
    if isinstance(value, Range) or (isinstance(value, dict) and "first" not in value):
        return "range"
    if isinstance(value, FirstRest | dict):
        return "split"
    return "choices" if isinstance(value, list | tuple) else "scalar"


Value = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[tuple[Scalar, ...], Tag("choices")]
    | Annotated[Scalar, Tag("scalar")],
    Discriminator(_form),
]


class FirstRest(Frozen):
    """A value for the first block of a row and one for the blocks after it."""

    first: Value
    rest: Value


FirstRestValue = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[FirstRest, Tag("split")]
    | Annotated[tuple[Scalar, ...], Tag("choices")]
    | Annotated[Scalar, Tag("scalar")],
    Discriminator(_form),
]


def as_numbers(value: Any, name: str) -> Any:
    """A value of a field of numbers, with numbers in the place of texts such as ``1e-2``.

    YAML 1.1 takes ``1e-2`` for text, since it has no point. Raises `ValueError` that names a word.
    """
    if isinstance(value, list | tuple):
        return [as_numbers(item, name) for item in value]
    if isinstance(value, dict):
        return {key: as_numbers(item, name) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    if not _NUMBER.fullmatch(value.strip()):
        raise ValueError(f"{name} has {value!r}, which is not a number")
    number = float(value)
    return int(number) if number.is_integer() and value.strip().lstrip("+-").isdecimal() else number


def distribution(name: str, value: Value) -> BaseDistribution | None:
    """The Optuna distribution of an open value, None for a fixed one.

    Raises `ValueError` if choices repeat.
    """
    if isinstance(value, Range):
        if value.low == value.high:
            return None
        if isinstance(value.low, int) and isinstance(value.high, int) and not isinstance(value.step, float):
            return IntDistribution(value.low, value.high, log=value.log, step=value.step or 1)
        return _float_distribution(value)
    if isinstance(value, tuple):
        if len(value) > MOST_CHOICES:
            raise ValueError(f"{name}: has {len(value)} choices, more than {MOST_CHOICES}")
        if not value or len(set(value)) < len(value):
            raise ValueError(f"{name}: a list of choices needs distinct values, got {list(value)}")
        return CategoricalDistribution(value) if len(value) > 1 else None
    return None


def _float_distribution(value: Range) -> FloatDistribution:
    """The distribution of a range that is not of integers, without losing its end.

    Optuna counts steps in decimals, and leaves out the end of a range if rounding has put it below the last
    step: so it does with an expansion of 14/3 in eighths.
    """
    low, high, step = float(value.low), float(value.high), value.step
    if step is not None and _span(low, high) // _decimal(step) < (count := round((high - low) / step)):
        low, step = _moved(low, high, count)
    return FloatDistribution(low, high, log=value.log, step=step)


def _moved(low: float, high: float, count: int) -> tuple[float, float]:
    """A low end, at most some last digits higher, and a step of which `count` lead from there to `high`.

    If there is none such, the same low end and a step that ends a last digit below `high`.
    """
    start = low
    for _ in range(_MOST_MOVES):
        step = float(_span(start, high) / count)
        if _span(start, high) % _decimal(step) == 0:
            return start, step
        start = math.nextafter(start, math.inf)
    return low, math.nextafter((high - low) / count, 0)


def _span(low: float, high: float) -> Decimal:
    return _decimal(high) - _decimal(low)


def _decimal(number: float) -> Decimal:
    """A number as Optuna counts with it."""
    return Decimal(str(number))


def fixed_value(value: Value) -> Scalar:
    """The only value that a fixed one can have."""
    if isinstance(value, Range):
        return value.low
    return value[0] if isinstance(value, tuple) else value


def extremes(distribution: BaseDistribution) -> Iterator[Any]:
    """All choices, or the two ends of a range."""
    if isinstance(distribution, CategoricalDistribution):
        yield from distribution.choices
    else:
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        yield from (distribution.low, distribution.high)


def probes(distribution: BaseDistribution) -> Iterator[Any]:
    """All choices; of a range, the ends and a number between them, which is no integer if it need not be."""
    yield from extremes(distribution)
    if isinstance(distribution, IntDistribution | FloatDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        yield low + (0.618 * (high - low) if step is None else step)


def first_values(distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The first choice, or the low end, of every dimension."""
    return {name: next(extremes(dist)) for name, dist in distributions.items()}


def largest_values(distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The largest number of every dimension; the first choice if none is a number."""
    found = {}
    for name, dist in distributions.items():
        values = list(extremes(dist))
        numbers = [value for value in values if isinstance(value, int | float)]
        found[name] = max(numbers, default=values[0])
    return found


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a distribution has a value; numbers may be off by rounding."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if not isinstance(value, int | float):
        return False
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    slack = 1e-9 * abs(value) if isinstance(distribution, FloatDistribution) else 0
    if not distribution.low - slack <= value <= distribution.high + slack:
        return False
    steps = (value - distribution.low) / (distribution.step or 1)
    return distribution.step is None or abs(steps - round(steps)) <= 1e-8


def nearest(dist: BaseDistribution, value: Any) -> Any:
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
    stepped = found.low + found.step * round((inside - found.low) / found.step)
    return type(found.low)(min(stepped, found.high))  # which rounding may exceed
