from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_checkpoints import QUICK, SMALL, assert_same, saved, scrambled
from torch import nn

import detector
import nars
from detector.model.settings import Pixels
from detector.weights.checkpoints import read_checkpoint
from detector.weights.loading import load_checkpoint
from nars.networks.weights import save_weights
from nars.spec import Architecture, Candidate
from search_spaces import published as classifier


def without_padding(architecture: Architecture) -> Architecture:
    """As timm has it: every kernel padded by half of it."""
    stages = [[row.replace(padding=None) for row in stage] for stage in architecture.stages]
    return architecture.replace(stages=stages)


@pytest.mark.parametrize("letter", ["b", *(pytest.param(each, marks=pytest.mark.slow) for each in "dg")])
def test_weights_of_timm(letter: str, tmp_path: Path) -> None:
    """The same logits, and in the detector cut from the same architecture the same C4."""
    timm = pytest.importorskip("timm")
    theirs = scrambled(timm.create_model(f"fbnetv3_{letter}", pretrained=False, num_classes=50)).double()
    path = saved(tmp_path / "timm.pth", theirs.float().state_dict())
    theirs.double()
    architecture = without_padding(classifier(f"fbnetv3_{letter}"))
    ours = nars.build(architecture, 50).double().eval()
    checkpoint = read_checkpoint(path)
    assert checkpoint.layout == "timm classifier"
    report = load_checkpoint(ours, checkpoint)
    assert report.notes == []
    assert list(report.loaded) == ["stages", "predictor"]
    x = torch.randn(2, 3, 96, 80, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(x)
        assert expected.std() > 0.01  # neither saturated nor dead
        torch.testing.assert_close(ours(x), expected, rtol=1e-9, atol=1e-9)

        model = detector.build(architecture, 4, weights=path).double().eval()
        assert model.settings.pixels == Pixels(
            order="rgb", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
        )
        c4 = theirs.blocks[:5](theirs.bn1(theirs.conv_stem(x)))
        torch.testing.assert_close(model.backbone(x)["c4"], c4, rtol=1e-9, atol=1e-9)
        c5 = theirs.blocks[5](c4)
        torch.testing.assert_close(model.roi_heads.box_head(c4), c5.mean((2, 3)), rtol=1e-9, atol=1e-9)


def test_where_timm_differs_from_the_published_network(tmp_path: Path) -> None:
    """Published B pads two blocks less than half their kernel: other outputs, and a note that says so."""
    timm = pytest.importorskip("timm")
    theirs = scrambled(timm.create_model("fbnetv3_b", pretrained=False, num_classes=7))
    path = saved(tmp_path / "timm.pth", theirs.state_dict())
    ours = nars.build(classifier("fbnetv3_b"), 7).eval()
    report = load_checkpoint(ours, read_checkpoint(path))
    assert "timm pads by half of every kernel" in str(report)
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert not torch.allclose(ours(x), theirs(x), rtol=1e-2)
    changed = nars.build(classifier("fbnetv3_b"), 9).eval()
    assert (
        "7 outputs in the file, 9 here" in load_checkpoint(changed, read_checkpoint(path)).fresh["predictor"]
    )


@pytest.fixture(params=[".pt", ".safetensors"])
def searched(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[nn.Module, Path]:
    """A classifier as `nars train` leaves it."""
    model = scrambled(nars.build(SMALL, 2))
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.25, 1.0])
    path = tmp_path / f"best{request.param}"
    metrics = {"accuracy": 0.9}
    save_weights(path, model, Candidate(architecture=SMALL), metrics, classes=("a", "b"), mean=mean, std=std)
    return model, path


def test_a_searched_classifier_initialises_its_detector(searched: tuple[nn.Module, Path]) -> None:
    model, path = searched
    found = detector.build(SMALL, 3, weights=path)
    state = {f"backbone.trunk.{name}": each for name, each in model.state_dict().items()}
    assert_same(found, state, r"backbone")
    box_head = {
        name.replace("stages.2.", "roi_heads.box_head.stages.stages.0."): each
        for name, each in model.state_dict().items()
    }
    assert_same(found, box_head, r"roi_heads\.box_head")
    assert found.settings.pixels.order == "rgb"
    assert found.settings.pixels.mean == pytest.approx((25.5, 51, 76.5))
    assert found.settings.pixels.std == pytest.approx((127.5, 63.75, 255))

    kept = detector.build(SMALL, 3, settings=QUICK)
    report = load_checkpoint(kept, read_checkpoint(path))
    assert "these weights were trained on pixels normalized otherwise" in str(report)
    assert report.unused == {"classifier's head": "this network has none"}
    assert report.fresh.keys() == {"RPN tower", "RPN predictor", "box predictor"}


def test_a_searched_classifier_gives_its_detector_the_same_trunk(searched: tuple[nn.Module, Path]) -> None:
    """What the classifier's third stage sees for an image is what the proposals are made of."""
    model, path = searched
    found = detector.build(SMALL, 3, weights=path).eval()
    image = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(0))
    normalized = (image - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.25, 1])[
        :, None, None
    ]
    with torch.no_grad():
        expected = model.stages[:2](normalized[None])
        seen = found.backbone(found.transform.normalize(image)[None])["c4"]
    torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-5)
