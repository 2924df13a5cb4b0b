"""Values of a space of detectors that no detector can be built from are refused when the space is made."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from detector.space.space import DetectorSpace
from detector.space.spaces import DEFAULT, space
from nars.errors import SpecError
from nars.space.values import first_values

FIELDS: dict[str, Any] = yaml.safe_load(space(DEFAULT).to_yaml())


def made(**changes: Any) -> DetectorSpace:
    return DetectorSpace.from_yaml(yaml.safe_dump(FIELDS | changes))


def with_recipe(**changes: Any) -> DetectorSpace:
    return made(recipe=FIELDS["recipe"] | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style": ["fbnet", "litee"]}, "style 'litee' is none of styles: fbnet, lite"),
        ({"style": None}, "style None is none of styles: fbnet, lite"),
        ({"style": "lite", "styles": {}}, "style 'lite' is none of styles: there is none"),
        ({"sizes": [2, 2.5]}, "sizes = 2.5: sizes is 2.5, which is no integer"),
        ({"resolution": 128.7}, "resolution is 128.7, which is no integer"),
        ({"resolution": "large"}, "resolution has 'large', which is not a number"),
        ({"resolution": None}, "resolution is None, which is no integer"),
        ({"fpn": [None, "wide"]}, "fpn has 'wide', which is not a number"),
        ({"num_classes": 0}, "num_classes: Input should be greater than or equal to 1"),
        (
            {"sizes": {"low": 1, "high": 40}, "ratios": {"low": 1, "high": 40}},
            "largest values together: there are 1600",
        ),
    ],
)
def test_a_value_that_makes_no_detector_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        made(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": "fast"}, "recipe.lr has 'fast', which is not a number"),
        ({"jitter": None}, "jitter: Input should be a valid tuple"),
    ],
)
def test_a_value_that_makes_no_recipe_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        with_recipe(**changes)


def test_numbers_may_be_written_without_a_point() -> None:
    """YAML 1.1 takes 1e-2 for text."""
    searched = with_recipe(lr="1e-2", jitter="1e-1")
    recipe = searched.decode(first_values(searched.distributions)).recipe
    assert (recipe.lr, recipe.jitter) == (0.01, (0.9, 1.1))
