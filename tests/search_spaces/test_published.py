from __future__ import annotations

from pathlib import Path

import golden
import pytest
import torch
from torch import nn

import nars
import search_spaces
from nars.errors import UsageError
from nars.spec import Architecture
from search_spaces.catalogue import figures, names, published

NETWORKS = golden.load("classifiers.json")["networks"]
FOLDER = Path(search_spaces.__file__).parent / "published"


def test_all_published_networks_are_here() -> None:
    lites = tuple(f"efficientnet_lite{number}" for number in range(3))
    assert names() == lites + tuple(f"fbnetv3_{letter}" for letter in ("a0", *"abcdefg"))
    assert set(names()) == {*lites, *NETWORKS}
    assert search_spaces.published is published


@pytest.mark.parametrize("name", names())
def test_file_is_what_the_architecture_writes(name: str) -> None:
    architecture = published(name)
    assert architecture.name == name
    if name in NETWORKS:
        assert architecture.resolution == NETWORKS[name]["resolution"]
    assert architecture.to_yaml() == (FOLDER / f"{name}.yaml").read_text()
    assert Architecture.from_yaml(architecture.to_yaml()) == architecture


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        network = nars.build(published(name), 1000)
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    weights = sum(conv.weight.numel() for conv in convs)
    biases = sum(conv.bias.numel() for conv in convs if conv.bias is not None)
    params = sum(parameter.numel() for parameter in network.parameters())
    expected = NETWORKS[name]
    assert (weights, biases) == (expected["conv_weights"], expected["conv_biases"])
    assert params - weights - biases == expected["norm_params"]
    known = figures(name)
    assert (known is None) == (name == "fbnetv3_a0")
    assert known is None or (known.params_m is not None and round(known.params_m * 1e6) == weights)


def test_figures_rise_with_the_letter() -> None:
    known = [entry for name in NETWORKS if (entry := figures(name))]
    assert len(known) == 7
    for key in ("flops_m", "top_1", "top_5", "resize"):
        values = [getattr(entry, key) for entry in known]
        assert values == sorted(values), key


@pytest.mark.parametrize("look_up", [published, figures])
def test_unknown_name_is_refused_with_the_closest(look_up: object) -> None:
    with pytest.raises(UsageError, match=r"'fbnet_v3_a'.*did you mean 'fbnetv3_a'"):
        look_up("fbnet_v3_a")  # type: ignore[operator]
    with pytest.raises(UsageError, match="figures"):
        look_up("figures")  # type: ignore[operator]  # the file beside the networks is none
