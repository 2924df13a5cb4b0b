"""Values of a space file: what each of them means, and what no candidate can have."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from nars.errors import SpecError
from nars.space import Space
from nars.space.values import Range, distribution, nearest
from search_spaces.spaces import space

MICRO = space("micro")


def with_recipe(**values: Any) -> Space:
    return MICRO.replace(recipe={**MICRO.recipe, **values})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"low": 0, "high": 0.5}, FloatDistribution(0, 0.5)),
        ({"low": 0, "high": 1, "step": 0.1}, FloatDistribution(0, 1, step=0.1)),
        ({"low": 1, "high": 2.5, "log": True}, FloatDistribution(1, 2.5, log=True)),
        ({"low": 0.0, "high": 0.9, "step": 0.3}, FloatDistribution(0, 0.9, step=0.3)),
        ({"low": 0, "high": 2}, IntDistribution(0, 2)),
    ],
)
def test_a_range_may_begin_with_an_integer(value: dict[str, Any], expected: object) -> None:
    assert with_recipe(cutmix=value).distributions["recipe.cutmix"] == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": {"low": 5, "high": 10, "step": 0}}, "step 0 does not lead from 5 to 10"),
        ({"mixup": {"low": 0.0, "high": 1.0, "step": 0.3}}, "step 0.3 does not lead from 0.0 to 1.0"),
        ({"epochs": {"low": 5.0, "high": 10.0}}, "recipe.epochs = 8.09: recipe epochs: Input should be"),
        ({"epochs": {"low": 5, "high": 10, "step": 0.5}}, "recipe.epochs = 5.5: recipe epochs: Input should"),
        ({"epochs": [10, 10.0]}, "a list of choices needs distinct values"),
        ({"lr": None}, "recipe lr: Input should be a valid number, got None"),
    ],
)
def test_a_value_that_no_training_takes_is_told_before_the_search(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        with_recipe(**values)
    assert message in str(caught.value)


def test_a_range_with_a_kernel_that_does_not_exist_between_its_ends() -> None:
    text = MICRO.to_yaml().replace("kernel: [3, 5]", "kernel: {low: 3, high: 5}")
    assert text != MICRO.to_yaml()
    with pytest.raises(SpecError, match=r"kernel.* = 4: block kernel"):
        Space.from_yaml(text)


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [(24.0, [24]), ([32, 16.0], [32, 16]), ({"low": 16.0, "high": 24.0, "step": 4.0}, [16, 20, 24])],
)
def test_sides_are_integers_however_they_are_written(resolution: Any, expected: list[int]) -> None:
    assert MICRO.replace(resolution=resolution).sides == expected


@pytest.mark.parametrize("whole", [56 / 12, 64 / 40, 33 / 14, 49 / 40])
def test_a_range_of_eighths_ends_where_it_says(whole: float) -> None:
    """Optuna would let that of 56 / 12 end at 49 / 12, and the networks of a parent would lack its own."""
    low = next(whole * eighths / 8 for eighths in range(2, 9) if whole * eighths / 8 > 1)
    found: Any = distribution("expansion", Range(low=low, high=whole, step=whole / 8))
    assert found.high == whole
    assert found.low == pytest.approx(low, rel=1e-14)
    assert round((found.high - found.low) / found.step) == round((whole - low) / (whole / 8))


@pytest.mark.filterwarnings("ignore:The distribution is specified")
def test_a_range_whose_steps_no_rounding_fits_keeps_its_low_end_and_all_steps() -> None:
    found: Any = distribution("share", Range(low=0, high=1, step=0.3333334))
    assert (found.low, found.high) == (0, pytest.approx(1))


def test_the_nearest_value_of_a_range_is_within_it() -> None:
    """0.1 + 2 * 0.1 is a little more than 0.3, and Optuna refuses that."""
    dist = FloatDistribution(0.1, 0.3, step=0.1)
    assert nearest(dist, 0.5) <= dist.high
    assert nearest(dist, 0.19) == 0.2
    assert nearest(IntDistribution(2, 8, step=2), 5.2) in (4, 6)
