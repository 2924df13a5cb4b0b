"""Trainings are longer where photos are few."""

from __future__ import annotations

import pytest
import studies

from nars.searching.steps import stretch, stretched
from nars.tasks.reference import reference_of


@pytest.mark.parametrize(
    ("images", "expected"), [(None, 1), (100_000, 1), (3068, 1), (1600, 1), (1257, 2), (400, 4), (20, 4)]
)
def test_the_factor_brings_enough_steps(images: int | None, expected: int) -> None:
    assert stretch(images) == expected


def test_reference_and_candidates_are_stretched_by_themselves() -> None:
    space = studies.space()
    config = studies.config(init="parent.pt", reference=reference_of(space, 32, 6))
    low, high = space.distributions["recipe.epochs"].low, space.distributions["recipe.epochs"].high
    both = stretched(config, 3, space=True)
    assert both.reference.recipe.epochs == 18
    assert (
        both.space.distributions["recipe.epochs"].low,
        both.space.distributions["recipe.epochs"].high,
    ) == (
        3 * low,
        3 * high,
    )
    assert stretched(config, 3, space=False) == both.replace(space=space)
    assert stretched(config, 1, space=True) == config


def test_an_epoch_number_that_is_held_stays() -> None:
    space = studies.space()
    held = space.replace(recipe={**space.recipe, "epochs": 3})
    config = studies.config().replace(space=held)
    assert stretched(config, 2, space=True) == config
