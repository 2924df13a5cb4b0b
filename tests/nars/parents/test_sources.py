"""Parents by name: files of ours, run folders, published names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nars
from nars.errors import RunError, UsageError
from nars.networks.weights import save_weights
from nars.parents.sources import parent, parent_names
from nars.spec import Architecture, Block, Candidate
from search_spaces import published

SMALL = Architecture(
    name="small",
    resolution=16,
    stages=[
        [Block(op="conv", kernel=3, channels=8, stride=2)],
        [Block(op="mbconv", kernel=3, channels=8, expansion=2)],
    ],
)


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
    (run / "weights" / "reference.pt").touch()
    with pytest.raises(RunError, match=r"best.pt --init .*/weights/reference.pt$"):
        parent(str(run))
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
    with pytest.raises(UsageError, match="only searches and `nars train` take auto, by their images: name a"):
        parent("auto")
