from __future__ import annotations

import dataclasses
import io
import json

import pytest
import torch
from rich.console import Console

import search_spaces
from nars.errors import SpecError, UsageError
from nars.networks.build import build
from nars.networks.profile import profile
from nars.space.cost import count
from nars.spec import Architecture, Block
from search_spaces.catalogue import figures, names

COSTS = ("macs", "params", "published_flops", "published_params")


def tiny() -> Architecture:
    stages = [
        [Block(op="conv", channels=8, kernel=3, stride=2)],
        [Block(op="mbconv", channels=8, kernel=5, expansion=3, se="hsigmoid", repeats=2)],
        [Block(op="mbpool", channels=16, expansion=2)],
    ]
    return Architecture(name="tiny", resolution=21, stages=stages)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("resolution", [None, 160])
def test_stages_add_up_to_the_count(name: str, resolution: int | None) -> None:
    architecture = search_spaces.published(name)
    found = profile(architecture, resolution, num_classes=10)
    assert found.total == count(architecture, resolution, num_classes=10)
    for cost in COSTS:
        assert sum(getattr(stage.cost, cost) for stage in found.stages) == getattr(found.total, cost)


@pytest.mark.parametrize("name", [name for name in names() if (known := figures(name)) and known.flops_m])
def test_published_countings_are_the_published_figures(name: str) -> None:
    known = figures(name)
    total = profile(search_spaces.published(name)).total
    assert known is not None
    assert known.flops_m is not None
    assert known.params_m is not None
    assert total.published_flops == round(known.flops_m * 1e6)  # published to the last digit, in millions
    assert total.published_params == round(known.params_m * 1e6)


@pytest.mark.parametrize("architecture", [tiny(), search_spaces.published("fbnetv3_a0")])
def test_shapes_are_those_of_the_built_network(architecture: Architecture) -> None:
    found = profile(architecture, num_classes=7)
    model = build(architecture, 7).eval()
    x = torch.zeros(1, 3, architecture.resolution, architecture.resolution)
    for part, stage in zip((*model.stages, model.head), found.stages, strict=True):
        with torch.no_grad():
            x = part(x)
        assert stage.shape == tuple(x.shape[1:])
        assert stage.cost.params == sum(parameter.numel() for parameter in part.parameters())


def test_latency_of_every_stage_and_of_the_whole() -> None:
    found = profile(tiny(), num_classes=4, latency_device=torch.device("cpu"))
    assert found.latency is not None
    seconds = [stage.latency for stage in found.stages]
    assert all(each is not None and 0 < each < 1 for each in seconds)
    # each stage does a part of the work; timer and noise are far below ten times
    assert max(seconds) < 10 * found.latency.median


def test_to_dict_is_json_and_says_all() -> None:
    text = profile(tiny(), num_classes=4, latency_device=torch.device("cpu")).to_dict()
    fields = json.loads(json.dumps(text))
    assert fields.keys() == {"name", "resolution", "num_classes", "latency", "stages", *COSTS}
    assert [stage["shape"] for stage in fields["stages"]] == [[8, 11, 11], [8, 11, 11], [16, 1, 1], [4]]
    assert fields["latency"]["median"] > 0
    assert profile(tiny()).to_dict()["latency"] is None


def test_table_has_every_digit_in_80_columns() -> None:
    found = profile(search_spaces.published("fbnetv3_g"))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(found.table())
    text = console.export_text()
    assert found.table().row_count == len(found.stages) + 2
    assert "…" not in text
    for number in dataclasses.astuple(found.total):
        assert f"{number:,}" in text
    assert len(profile(tiny(), latency_device=torch.device("cpu")).table().columns) == 5


@pytest.mark.parametrize("options", [{"resolution": 0}, {"num_classes": 0}])
def test_numbers_below_one(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="1 or more"):
        profile(tiny(), **options)


def test_a_resolution_that_leaves_nothing() -> None:
    shrinking = Architecture(resolution=9, stages=[[Block(op="conv", channels=4, kernel=5, padding=0)]])
    with pytest.raises(SpecError, match="no output after stage 0 at 4 pixels"):
        profile(shrinking, resolution=4)
