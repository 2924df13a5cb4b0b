"""What a message says of two trainings that are not the same."""

from __future__ import annotations

import pytest

from nars.spec import Recipe
from nars.training.identity import difference

RECIPE = Recipe(lr=0.05)
IDENTITY = {"recipe": RECIPE.to_yaml(), "data": "digits:1", "seed": 0, "metric": None}


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        (IDENTITY, None),
        ({key: IDENTITY[key] for key in ("recipe", "data", "seed")}, None),  # of a version without metrics
        (IDENTITY | {"data": "digits:0"}, None),
        (IDENTITY | {"data": "letters"}, "data was 'letters', is 'digits:1'"),
        (IDENTITY | {"recipe": RECIPE.replace(lr=0.2).to_yaml()}, "lr was 0.2, is 0.05"),
        (
            IDENTITY | {"recipe": Recipe().to_yaml(), "seed": 1},
            "lr was the default, is 0.05; seed was 1, is 0",
        ),
        (
            {"training": "kind: detector-training\nschema: 1\n", "seed": 0},
            "it trained another kind of network",
        ),
        (IDENTITY | {"recipe": "- [\n"}, "it trained another kind of network"),
    ],
)
def test_differences_are_told_field_by_field(saved: dict[str, object], said: str | None) -> None:
    assert difference(saved, IDENTITY, {"data": ["digits:0"]}) == said


def test_many_differences_are_counted() -> None:
    other = RECIPE.replace(epochs=3, batch_size=7, mixup=0.1, dropout=0.1)
    said = difference({**IDENTITY, "recipe": other.to_yaml()}, IDENTITY, {})
    assert said is not None
    assert said.count(" was ") == 3
    assert said.endswith(", and 1 more")
