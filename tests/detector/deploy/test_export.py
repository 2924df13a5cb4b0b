"""Exported detectors find the same objects in real images as the detector, in every runtime."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
import toys
from torch import Tensor

from detector.data.coco import write
from detector.data.records import CocoData, ImageRecord
from detector.deploy import export as exporting
from detector.deploy.contract import Contract
from detector.deploy.deployed import Deployed, OnnxDetector, fitted
from detector.deploy.export import compare, export
from detector.deploy.quantize import quantize
from detector.evaluation.loop import detect, evaluate
from detector.model.detector import Detector
from detector.training.loop import train
from detector.weights.saved import SavedDetector
from nars.cli import main
from nars.errors import DataError, ExportError, UsageError
from nars.networks.export import run_onnx, run_pt2
from nars.spec import Block

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@cache
def data() -> CocoData:
    return toys.squares()


@cache
def saved(mask: bool = False) -> SavedDetector:
    """Return a detector that finds something, after a few seconds of training."""
    training = toys.TRAINING.replace(epochs=8, lr=0.05, evaluate_every=8)
    model = toys.model(mask=mask, score_threshold=0.05 if mask else 0.2)
    train(model, data(), training, device=CPU, seed=0)
    model.eval()
    return SavedDetector(model.parts, model.settings, toys.CLASSES, {"ap": 0.5}, model.state_dict(), "toy")


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export once for all tests, because the exporter takes some twenty seconds."""
    path = tmp_path_factory.mktemp("onnx") / "toy.onnx"
    assert export(saved(), data(), path, "onnx").deviation <= 1e-4
    return path


def run_scripted(content: bytes, batches: Sequence[tuple[Tensor, ...]]) -> list[list[Tensor]]:
    script = torch.jit.load(io.BytesIO(content))
    with torch.no_grad():
        return [list(script(*batch)) for batch in batches]


RUN: dict[str, Callable[..., list[list[Tensor]]]] = {
    "onnx": run_onnx,
    "pt2": run_pt2,
    "torchscript": run_scripted,
}


def check_file(form: str, content: bytes) -> None:
    """Compare on sizes that the exporter has not seen, from no detection to many."""
    model = saved().detector()
    shapes = ((48, 48), (60, 48), (52, 64))
    batches = [0.4 + 0.2 * torch.rand(1, 3, *shape) for shape in shapes]
    batches += [fitted(model, torch.from_numpy(pixels).permute(2, 0, 1) / 255) for pixels in _pixels()]
    counts = set()
    found = RUN[form](content, [(batch,) for batch in batches])
    for batch, outputs in zip(batches, found, strict=True):
        with torch.no_grad():
            expected = Deployed(model)(batch)
        counts.add(len(expected[0]))
        assert compare(expected, outputs, 0.2, 64) < 1e-4
    assert 0 in counts
    assert max(counts) > 1


@pytest.mark.parametrize("form", ["pt2", "torchscript"])
def test_file_finds_what_the_detector_finds(form: str, tmp_path: Path) -> None:
    done = export(saved(), data(), tmp_path / "toy", form)
    assert done.deviation <= 1e-5
    assert done.detections > 1
    assert done.sizes == "any"
    assert done.contract.input == (
        "images: float32 [1, 3, H, W], RGB in 0..1, resized to a shorter side of 48 pixels, less if the "
        "longer one would exceed 64, then padded right and below to at least 8 pixels with RGB 0.485, 0.456, "
        "0.406; normalization inside"
    )
    check_file(form, (tmp_path / "toy").read_bytes())


def test_onnx_runtime_finds_what_the_detector_finds(onnx_file: Path) -> None:
    check_file("onnx", onnx_file.read_bytes())


def _pixels() -> list[Any]:
    pixels = data().val.pixels
    assert pixels is not None
    return list(pixels.values())


def test_batches_and_masks(tmp_path: Path) -> None:
    done = export(saved(mask=True), data(), tmp_path / "toy", "torchscript", batch=2)
    assert done.batch == done.contract.batch == 2
    model = saved(mask=True).detector()
    images = [fitted(model, torch.from_numpy(pixels).permute(2, 0, 1) / 255) for pixels in _pixels()]
    first = images[0]
    second = next(image for image in images[1:] if image.shape == first.shape)
    pair = torch.cat([first, second])
    found = run_scripted((tmp_path / "toy").read_bytes(), [(pair,)])[0]
    with torch.no_grad():
        expected = Deployed(model)(pair)
    assert compare(expected, found, 0.2, 64) < 1e-5
    assert set(found[3].tolist()) == {0, 1}
    assert found[4].shape == (len(found[0]), 1, 12, 12)  # twice the 6 of the pooler
    torch.testing.assert_close(found[4], expected[4])


def test_deployed_is_the_detector() -> None:
    """Boxes are the same whether images are resized outside or inside."""
    model = saved().detector()
    for pixels in _pixels():
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            inside = model([image])[0]
            boxes, labels, scores, _ = Deployed(model)(fitted(model, image))
        scale = image.shape[-1] / model.transform.resize(image)[0].shape[-1]
        torch.testing.assert_close(boxes * scale, inside["boxes"], atol=0.05, rtol=0)
        assert torch.equal(labels, inside["labels"])
        torch.testing.assert_close(scores, inside["scores"])


@pytest.mark.parametrize("size", [(30, 40), (90, 31), (20, 300), (48, 48)])
def test_an_image_is_prepared_by_what_the_contract_says(size: tuple[int, int]) -> None:
    model = toys.model().eval()
    contract = Contract.of(model, toys.CLASSES, None)
    image = torch.rand(3, *size)
    scale = min(contract.shorter / min(size), contract.longer / max(size))
    height, width = (round(side * scale) for side in size)
    padded = [
        max(contract.smallest, -(-side // contract.multiple) * contract.multiple) for side in (height, width)
    ]
    canvas = torch.tensor(contract.padding)[:, None, None].repeat(1, *padded)
    canvas[:, :height, :width] = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True)
    torch.testing.assert_close(canvas[None], fitted(model, image), atol=1e-4, rtol=0)


def test_images_may_be_far_wider_than_high(tmp_path: Path) -> None:
    """640 x 40 pixels become 64 x 4, but a map of one cell is not that of every size."""
    subset = data().val
    pixels = np.random.default_rng(0).integers(0, 255, (40, 640, 3), dtype=np.uint8)
    wide = replace(subset, images=(ImageRecord(1, "1.png", 640, 40),), pixels={1: pixels})
    done = export(saved(), CocoData(wide, wide), tmp_path / "toy", "pt2")
    assert (done.contract.smallest, done.sizes) == (8, "any")
    least = torch.rand(1, 3, done.contract.smallest, done.contract.smallest)
    assert len(run_pt2((tmp_path / "toy").read_bytes(), [(least,)])[0]) == 4


def test_a_file_takes_the_longest_images_that_its_detector_does(tmp_path: Path) -> None:
    trained = replace(saved(), settings=saved().settings.replace(longest=6000))
    export(trained, data(), tmp_path / "toy", "pt2")
    wide = torch.rand(1, 3, 48, 6000)
    assert len(run_pt2((tmp_path / "toy").read_bytes(), [(wide,)])[0]) == 4


def test_a_contract_says_how_to_pad() -> None:
    plain = Contract(224, 320, 1, 1, (0.5, 0.4, 0.3), None, toys.CLASSES)
    assert "pad" not in plain.input
    assert plain.input.startswith("images: float32 [1, 3, H, W], ")
    said = "then padded right and below to multiples of 32 and at least 64 pixels with RGB 0.5, 0.4, 0.3;"
    assert said in replace(plain, multiple=32, smallest=64).input
    said = "exceed 320 or the image would not fit into 224x320 (height x width), then padded to that right"
    assert said in replace(plain, fixed=(224, 320)).input


def test_onnx_describes_itself(onnx_file: Path) -> None:
    proto = onnx.load(onnx_file)
    about = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(about["classes.json"]) == list(toys.CLASSES)
    contract = json.loads(about["contract.json"])
    assert (contract["shorter"], contract["longer"], contract["fixed"]) == (48, 64, None)
    assert "kind: detector-settings" in about["settings.yaml"]
    assert [output.name for output in proto.graph.output] == ["boxes", "labels", "scores", "image"]
    sides = proto.graph.input[0].type.tensor_type.shape.dim
    assert [bool(side.dim_param) for side in sides] == [False, False, True, True]


def test_onnx_runtime_reaches_the_same_ap(onnx_file: Path) -> None:
    model = saved().detector()
    runtime = OnnxDetector(onnx_file.read_bytes(), model)
    found, expected = (evaluate(candidate, data(), device=CPU).boxes for candidate in (runtime, model))
    assert found.ap == pytest.approx(expected.ap, abs=0.005)
    assert expected.ap > 0.05


def test_wrong_files_are_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = [torch.rand(3, 4), torch.ones(3), torch.ones(3), torch.zeros(3)]
    monkeypatch.setitem(exporting.RUNS, "torchscript", lambda _, batches: [other] * len(batches))
    with pytest.raises(ExportError, match="torchscript file deviates from the detector by inf"):
        export(saved(), data(), tmp_path / "toy", "torchscript")
    assert not list(tmp_path.iterdir())


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format 'onx': did you mean 'onnx'"):
        export(saved(), data(), tmp_path / "toy", "onx")
    empty = toys.squares(train=0, val=0)
    with pytest.raises(DataError, match="no image to compare"):
        export(saved(), empty, tmp_path / "toy", "pt2")


def test_the_comparison_notices_differences() -> None:
    boxes, labels = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]]), torch.tensor([1, 2])
    scores, owners = torch.tensor([0.9, 0.5]), torch.tensor([0, 0])
    found = (boxes, labels, scores, owners)
    swapped = tuple(values.flip(0) for values in found)
    assert compare(found, swapped, 0.05, 100) == 0
    assert compare(found, (boxes + 1, labels, scores, owners), 0.05, 100) == pytest.approx(0.01)
    assert compare(found, (boxes, labels, scores - 0.2, owners), 0.05, 100) == pytest.approx(0.2)
    assert compare(found, (boxes, labels + 1, scores, owners), 0.05, 100) == float("inf")
    assert compare(found, tuple(values[:1] for values in found), 0.05, 100) == float("inf")
    masks = torch.full((2, 1, 4, 4), 0.5)
    assert compare((*found, masks), (*found, masks), 0.05, 100) == 0
    assert compare((*found, masks), (*found, masks + 0.1), 0.05, 100) == pytest.approx(0.1)
    unsure = (boxes, labels, torch.tensor([0.9, 0.055]), owners)
    assert compare(unsure, tuple(values[:1] for values in unsure), 0.05, 100) == 0


def pyramid() -> Detector:
    """A detector whose maps double exactly, so its file takes one size; images are fitted into it."""
    coarse = Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2)
    parts = toys.PARTS.replace(fpn=16, trunk=[*toys.PARTS.trunk, [coarse]])
    settings = toys.SETTINGS.replace(anchor_sizes=((8,), (12,), (20,)))
    torch.manual_seed(0)
    return Detector(parts, 3, settings).eval()


def test_a_file_of_one_size_has_the_most_frequent_one() -> None:
    """An AP of .60 became .03, because the first of twelve images was the only one higher than wide."""
    subset, grey = data().val, np.full((48, 64, 3), 110, np.uint8)
    high = ImageRecord(1, "1.png", 48, 64)
    wide = tuple(ImageRecord(number, f"{number}.png", 64, 48) for number in (2, 3))
    pixels = {1: grey.transpose(1, 0, 2), 2: grey, 3: grey}
    val = replace(subset, images=(high, *wide), annotations=(), pixels=pixels)
    batches = exporting.real_batches(pyramid(), CocoData(val, val))
    assert [batch.shape for batch in batches] == [(1, 3, 48, 64)] * 2


@pytest.mark.parametrize(
    ("size", "inner"),
    [((48, 48), (52, 52)), ((40, 60), (45, 68)), ((60, 40), (56, 37)), ((200, 20), (56, 6))],
)
def test_a_file_of_one_size_sees_nothing_larger_than_in_training(
    size: tuple[int, int], inner: tuple[int, int]
) -> None:
    """An AP of .64 became .58: images of 52 pixels in training filled a file of 56 x 56."""
    origin = pyramid()
    settings = origin.settings.replace(shortest=(52,), longest=68)
    image = torch.ones(3, *size)
    canvas = fitted(Detector(origin.parts, 3, settings).eval(), image, (56, 72))[0, 0] > 0.9
    assert canvas.shape == (56, 72)
    assert (int(canvas.any(1).sum()), int(canvas.any(0).sum())) == inner


@pytest.mark.slow
def test_a_file_of_one_size_is_measured_on_images_of_any(tmp_path: Path) -> None:
    model = pyramid()
    saved = SavedDetector(model.parts, model.settings, toys.CLASSES, {}, model.state_dict(), "toy")
    shapes = {(image.width, image.height) for image in data().train.images}
    assert len(shapes) == 3
    done = quantize(saved, data(), tmp_path / "toy.onnx", images=6)
    assert done.contract.fixed is not None
    runtime = OnnxDetector((tmp_path / "toy.onnx").read_bytes(), model, done.contract.fixed)
    (found,) = runtime([torch.rand(3, 90, 30)])
    assert len(found["boxes"])
    assert (found["boxes"].max(0).values <= torch.tensor([30.0, 90.0, 30.0, 90.0])).all()


@pytest.mark.slow
def test_int8(tmp_path: Path) -> None:
    """The data may have their classes in another order."""
    done = quantize(saved(), toys.in_other_order(data()), tmp_path / "toy.onnx", images=6)
    assert done.images == 6
    model = saved().detector()
    assert done.before.ap == evaluate(model, data(), device=CPU).boxes.ap
    nodes = onnx.load(tmp_path / "toy.onnx").graph.node
    assert sum(node.op_type == "QuantizeLinear" for node in nodes) > 4
    # Eight bits move this detector's AP by a few points; a broken calibration costs all of it.
    assert done.after.ap > 0.5 * done.before.ap
    runtime = OnnxDetector((tmp_path / "toy.onnx").read_bytes(), model)
    pictures = [torch.from_numpy(pixels).permute(2, 0, 1) for pixels in _pixels()]
    exact, found = (
        [round(score, 4) for each in detect(detector, pictures, CPU) for score in each["scores"].tolist()]
        for detector in (model, runtime)
    )
    assert found != exact


@pytest.mark.slow
def test_int8_is_calibrated_on_images_of_all_kinds(tmp_path: Path) -> None:
    """An AP of .16 became 0: the first of the training images were taken at night."""
    train = data().train
    assert train.pixels is not None
    pixels = {1000 + number: (image * 0.15).astype(np.uint8) for number, image in train.pixels.items()}
    night = [ImageRecord(1000 + day.id, f"night {day.file}", day.width, day.height) for day in train.images]
    both = replace(train, images=(*night, *train.images), pixels=pixels | dict(train.pixels))
    done = quantize(saved(), replace(data(), train=both), tmp_path / "toy.onnx", images=8)
    assert done.images == 8
    assert done.after.ap > 0.5 * done.before.ap > 0


@pytest.mark.slow
def test_int8_masks_are_measured(tmp_path: Path) -> None:
    done = quantize(saved(mask=True), data(), tmp_path / "toy.onnx", images=8)
    model = saved(mask=True).detector()
    before = evaluate(model, data(), device=CPU)
    assert (done.before, done.masks_before) == (before.boxes, before.masks)
    assert done.masks_before is not None
    assert done.masks_after is not None
    assert done.masks_after.ap > 0.5 * done.masks_before.ap
    runtime = OnnxDetector((tmp_path / "toy.onnx").read_bytes(), model)
    (found,) = runtime([torch.from_numpy(_pixels()[0]).permute(2, 0, 1) / 255])
    assert found["masks"].shape == (len(found["scores"]), 1, *_pixels()[0].shape[:2])


def test_a_mask_head_is_not_quantized_without_a_detection(tmp_path: Path) -> None:
    """Its activations were rounded to whole numbers from 0 to 255, while the AP of boxes was as before."""
    with pytest.raises(DataError, match=r"nothing is found in 2 images .* give more with --calibrate"):
        quantize(saved(mask=True).with_threshold(0.999), data(), tmp_path / "toy.onnx", images=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from detector.weights.saved import save_detector

    monkeypatch.chdir(tmp_path)
    write(data(), tmp_path / "squares")
    save_detector("toy.pt", saved().detector(), toys.CLASSES)
    base = ["detect", "export", "toy.pt", "--data", "squares", "-o"]
    assert main([*base, "toy.ts"]) == 0
    assert "largest deviation" in capsys.readouterr().out
    assert main([*base, "toy.onnx", "--int8", "--calibrate", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ap_before"] > 0
    assert main([*base, "toy.pt2", "--int8"]) == 2
    assert "--int8 goes with --format onnx" in capsys.readouterr().err
    assert main([*base, "toy.ts", "--calibrate", "4"]) == 2
    assert "--calibrate is for 8 bits: give --int8" in capsys.readouterr().err
