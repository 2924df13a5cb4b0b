"""Parents by name, and other libraries' networks moved into ours with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import golden
import pytest
import torch
from torch import nn
from torchvision import models

import nars
from nars.errors import RunError, UsageError, WeightsError
from nars.networks.weights import save_weights
from nars.parents import sources
from nars.parents.importer import Facts, architecture_of
from nars.parents.sources import TIMM, TORCHVISION, parent, parent_names
from nars.spec import Architecture, Block, Candidate
from search_spaces import published

timm: Any = pytest.importorskip("timm")

SMALL = Architecture(
    name="small",
    resolution=16,
    stages=[
        [Block(op="conv", kernel=3, channels=8, stride=2)],
        [Block(op="mbconv", kernel=3, channels=8, expansion=2)],
    ],
)


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
    torch.save(theirs.state_dict(), cache / f"{library}-{name}.pth")  # in the place of a download
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
    torch.save(models.efficientnet_b0().state_dict(), cache / "torchvision-mobilenet_v2.pth")
    with pytest.raises(
        WeightsError, match=r"torchvision:mobilenet_v2: has \d+ layers with tensors, mobilenet_v2 has"
    ):
        parent("torchvision:mobilenet_v2")
    torch.save(timm.create_model("tf_efficientnet_lite0").state_dict(), cache / "timm-efficientnet_lite0.pth")
    assert parent("timm:efficientnet_lite0") is not None  # the same shapes: only the padding differs
    torch.save(
        timm.create_model("tf_efficientnet_lite1").state_dict(), cache / "timm-tf_efficientnet_lite2.pth"
    )
    with pytest.raises(WeightsError, match=r"_conv_pw|conv_pwl?.weight has shape \(\d+, .*, expected"):
        parent("timm:tf_efficientnet_lite2")
    torch.save([1, 2], cache / "timm-fbnetv3_b.pth")
    with pytest.raises(WeightsError, match="not the tensors of a network"):
        parent("timm:fbnetv3_b")


def test_without_a_network_the_file_to_put_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(UsageError) as caught:
        parent("torchvision:mobilenet_v2")
    assert str(caught.value) == (
        "torchvision:mobilenet_v2 cannot be downloaded (no route to host): put "
        "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth "
        f"at {cache}/torchvision-mobilenet_v2.pth"
    )
    create = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, pretrained: offline() if pretrained else create(name)
    )
    with pytest.raises(
        UsageError, match=r"timm:fbnetv3_b cannot be .*fbnetv3_b_224-ead5d2a1.pth at .*timm-fbnetv3_b"
    ):
        parent("timm:fbnetv3_b")


def test_a_file_of_ours_is_a_parent(tmp_path: Path) -> None:
    model = nars.build(SMALL, 2)
    for name in ("small.pt", "small.safetensors"):
        save_weights(
            tmp_path / name,
            model,
            Candidate(architecture=SMALL),
            {},
            classes=["ant", "bee"],
            mean=torch.full((3,), 0.25),
            std=torch.full((3,), 0.5),
        )
        found = parent(str(tmp_path / name))
        assert found is not None
        assert (found.architecture, found.classes, found.source) == (
            SMALL,
            ("ant", "bee"),
            str(tmp_path / name),
        )
        assert (found.mean, found.std) == ((0.25,) * 3, (0.5,) * 3)
        assert all(torch.equal(tensor, found.state[key]) for key, tensor in model.state_dict().items())
    run = tmp_path / "run"
    with pytest.raises(UsageError, match="no parent is called"):
        parent(str(run))
    run.mkdir()
    with pytest.raises(RunError, match="is no run folder"):
        parent(str(run))
    (run / "config.yaml").touch()
    with pytest.raises(
        RunError, match=r"keeps no weights of its winner; this makes them: nars train .*best.yaml -o"
    ):
        parent(str(run))
    (run / "weights").mkdir()
    (tmp_path / "small.pt").rename(run / "weights" / "best.pt")
    found = parent(str(run))
    assert found is not None
    assert found.architecture == SMALL


def test_names() -> None:
    assert parent("none") is None
    lite0 = parent("efficientnet_lite0")
    assert lite0 is not None
    assert lite0.architecture == published("efficientnet_lite0")
    for wrong, right in (
        ("efficientnet_lite_0", "efficientnet_lite0"),
        ("timm:fbnetv3bb", "timm:fbnetv3_b"),
        ("torchvision:mobilenetv2", "torchvision:mobilenet_v2"),
    ):
        with pytest.raises(UsageError, match=f"no parent is called '{wrong}': did you mean '{right}'"):
            parent(wrong)
    assert "timm:fbnetv3_g" in parent_names()


def test_timm_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(sources, "import_module", missing)
    with pytest.raises(UsageError, match=r"timm:fbnetv3_b needs timm: pip install 'nars\[timm\]'"):
        parent("timm:fbnetv3_b")
