"""Weights are loaded as a whole or refused with the first difference."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nars.errors import WeightsError
from nars.networks.build import build
from nars.networks.exact import load_exactly
from nars.networks.weights import Weights
from nars.spec import Architecture, Block, Candidate

STEM, BODY = Block(op="conv", channels=4, kernel=3), Block(op="mbconv", channels=8, kernel=3, expansion=2)
ARCHITECTURE = Architecture(name="whole", resolution=8, stages=[[STEM], [BODY]])


def trained(**changes: Any) -> Weights:
    architecture = ARCHITECTURE.replace(**changes)
    candidate, third = Candidate(architecture=architecture), (1 / 3,) * 3
    state = build(architecture, 2).state_dict()
    return Weights(candidate, ("cat", "dog"), third, third, {}, state, "file.pt")


def test_every_tensor_is_taken_whatever_name_and_resolution() -> None:
    weights, model = trained(name="other", resolution=16), build(ARCHITECTURE, 2)
    load_exactly(model, ARCHITECTURE, ("cat", "dog"), weights)
    assert all(torch.equal(tensor, weights.state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "classes", "difference"),
    [
        ({"stages": [[STEM], [BODY.replace(kernel=5)]]}, "cat dog", "stages[1][0].kernel is 5, expected 3"),
        ({"stages": [[STEM], [BODY], [STEM]]}, "cat dog", "it has 3 stages, expected 2"),
        (
            {"stages": [[STEM.replace(bias=False)], [BODY]]},
            "cat dog",
            "stages[0][0].bias is False, expected True",
        ),
        ({"norm_eps": 1e-3}, "cat dog", "norm_eps is 0.001, expected 1e-05"),
        ({}, "cat cow", "classes[1] is 'dog', expected 'cow'"),
        ({}, "dog cat", "classes[0] is 'cat', expected 'dog'"),
        ({}, "cat dog cow", "it has 2 classes, expected 3"),
    ],
)
def test_the_first_difference_is_named(changes: dict[str, Any], classes: str, difference: str) -> None:
    words = tuple(classes.split())
    with pytest.raises(WeightsError, match=r"^file\.pt is of another network: ") as error:
        load_exactly(build(ARCHITECTURE, len(words)), ARCHITECTURE, words, trained(**changes))
    assert difference in str(error.value)
