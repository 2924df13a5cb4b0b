"""Other libraries' networks moved into ours with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import golden
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

import nars
from nars.errors import UsageError, WeightsError
from nars.parents.published import libraries
from nars.parents.published.importer import Facts, architecture_of
from nars.parents.published.libraries import TIMM, TORCHVISION
from nars.parents.sources import parent
from search_spaces import published

timm: Any = pytest.importorskip("timm")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "parents"


def network(library: str, name: str) -> nn.Module:
    """Their network with random weights, none of whose layers is an identity."""
    make = timm.create_model if library == "timm" else models.get_model
    made: nn.Module = golden.fill(make(name), 2.2)
    return made


@pytest.mark.parametrize(
    ("library", "name"),
    [*(("timm", name) for name in TIMM), *(("torchvision", name) for name in TORCHVISION)],
)
def test_a_moved_network_is_the_original(library: str, name: str, cache: Path) -> None:
    theirs = network(library, name)
    cache.mkdir(parents=True)
    save_file(theirs.state_dict(), cache / f"{library}-{name}.safetensors")  # in the place of a download
    found = parent(f"{library}:{name}")
    assert found is not None
    assert found.architecture.stages[0][0].stride == 2
    assert (len(found.classes), len(found.mean), len(found.std)) == (1000, 3, 3)
    ours = nars.build(found.architecture, 1000)
    ours.load_state_dict(found.state)
    images = golden.make_input(2, 3, 97, 64)
    with torch.no_grad():
        expected, logits = theirs.double()(images), ours.double().eval()(images)
    assert golden.deviation(logits, expected.tolist()) < 1e-10
    print(
        f"{library}:{name}",
        (logits - expected).abs().max().item(),
        golden.deviation(logits, expected.tolist()),
    )


def test_imported_architectures_are_the_published_ones() -> None:
    lite0 = architecture_of(
        timm.create_model("tf_efficientnet_lite0"), Facts("relu6"), "efficientnet_lite0", 224
    )
    # timm trains with another momentum
    assert lite0.replace(norm_momentum=0.01) == published("efficientnet_lite0")
    fbnet = architecture_of(timm.create_model("fbnetv3_g"), Facts("hswish", "hsigmoid"), "fbnetv3_g", 320)
    ours = published("fbnetv3_g")
    assert [[row.channels for row in stage] for stage in fbnet.stages] == [
        [row.channels for row in stage] for stage in ours.stages
    ]


def test_networks_of_other_families_are_refused() -> None:
    with pytest.raises(
        WeightsError, match=r"resnet18: \d+ convolutions after the last block are none of this family"
    ):
        architecture_of(models.resnet18(), Facts("relu"), "resnet18", 224)
    with pytest.raises(WeightsError, match="linear: does not start with a convolution and a batch norm"):
        architecture_of(nn.Linear(3, 4), Facts("relu"), "linear", 224)


def test_weights_of_another_network_are_refused(cache: Path) -> None:
    cache.mkdir(parents=True)
    save_file(models.efficientnet_b0().state_dict(), cache / "torchvision-mobilenet_v2.safetensors")
    with pytest.raises(
        WeightsError, match=r"torchvision:mobilenet_v2: has \d+ layers with tensors, mobilenet_v2 has"
    ):
        parent("torchvision:mobilenet_v2")
    theirs = timm.create_model("tf_efficientnet_lite0").state_dict()
    save_file(theirs, cache / "timm-efficientnet_lite0.safetensors")
    assert parent("timm:efficientnet_lite0") is not None  # the same shapes: only the padding differs
    theirs = timm.create_model("tf_efficientnet_lite1").state_dict()
    save_file(theirs, cache / "timm-tf_efficientnet_lite2.safetensors")
    with pytest.raises(WeightsError, match=r"_conv_pw|conv_pwl?.weight has shape \(\d+, .*, expected"):
        parent("timm:tf_efficientnet_lite2")


def test_timm_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(libraries, "import_module", missing)
    with pytest.raises(UsageError, match=r"timm:fbnetv3_b needs timm: pip install 'nars\[timm\]'"):
        parent("timm:fbnetv3_b")
