"""COCO's numbers, compared with the tools that define them and with known values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from PIL import Image
from torch import Tensor, nn
from toys import squares

import detector
from detector.data.records import CocoData
from detector.evaluation import loop
from detector.evaluation.coco_ap import Scores, Tool, score
from detector.evaluation.figures import confusion, write_figures
from detector.evaluation.interval import resampled_aps
from detector.evaluation.loop import Evaluation, detect, evaluate
from detector.evaluation.timing import time_detector
from detector.model.cost import count
from detector.model.detector import Detector
from detector.model.settings import Settings
from nars.errors import DataError, UsageError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> CocoData:
    return squares(train=4, val=12)


@pytest.fixture(scope="module")
def untrained(data: CocoData) -> Evaluation:
    return evaluate(toys.model(mask=True, score_threshold=0.0), data, device=CPU)


def truth(data: CocoData, shift: float = 0.0, score: float = 0.9) -> list[dict[str, Any]]:
    """Return a detection of every object in val, moved to the right by a share of its width."""
    return [
        {
            "image_id": annotation.image_id,
            "category_id": annotation.category_id,
            "bbox": [annotation.box[0] + shift * annotation.box[2], *annotation.box[1:]],
            "score": score,
            "segmentation": annotation.segmentation,
        }
        for annotation in data.val.annotations
    ]


def test_perfect_detections(data: CocoData) -> None:
    for kind in ("bbox", "segm"):
        scores, precision = score(data, data.val, truth(data), kind=kind)  # type: ignore[arg-type]
        assert scores.ap == pytest.approx(1)
        assert scores.ap_small == pytest.approx(1)
        assert scores.ap_large is None  # there are none above 96 by 96
        assert dict(scores.per_class) == {name: pytest.approx(1) for name in toys.CLASSES}
        assert precision.shape == (101, 3)


@pytest.mark.parametrize("tool", ["pycocotools", "faster-coco-eval"])
@pytest.mark.parametrize("first", [0, -3])
def test_every_object_counts_whatever_its_id(data: CocoData, first: int, tool: Tool) -> None:
    """The tools take an object with id 0 for none, and Roboflow's exports begin with it."""
    pytest.importorskip("faster_coco_eval")
    renumbered = [box._replace(id=id) for id, box in enumerate(data.val.annotations, start=first)]
    val = replace(data.val, annotations=tuple(renumbered))
    other = CocoData(data.train, val)
    for kind in ("bbox", "segm"):
        scores, _ = score(other, val, truth(data), kind=kind, tool=tool)  # type: ignore[arg-type]
        assert scores.ap == pytest.approx(1)
        assert scores.recall == pytest.approx(1)
    aps = resampled_aps(other, truth(data), np.ones((1, len(val.images))))
    assert aps == pytest.approx(1)


def test_a_crowd_without_a_mask_is_ignored_within_its_box(data: CocoData) -> None:
    first = data.val.annotations[0]
    crowd = first._replace(id=1000, crowd=True, segmentation=None)
    val = replace(data.val, annotations=(crowd, *data.val.annotations[1:]))
    for kind in ("bbox", "segm"):
        scores, _ = score(CocoData(data.train, val), val, truth(data), kind=kind)  # type: ignore[arg-type]
        assert scores.ap == pytest.approx(1)


def test_half_shifted_detections(data: CocoData) -> None:
    """A box moved by a fifth of its width overlaps by 0.8 / 1.2, so up to the threshold 0.65."""
    scores, _ = score(data, data.val, truth(data, shift=0.2))
    assert scores.ap50 == pytest.approx(1)
    assert scores.ap75 == 0
    assert scores.ap == pytest.approx(0.4)


def test_no_detection_at_all(data: CocoData) -> None:
    scores, precision = score(data, data.val, [])
    assert (scores.ap, scores.ap50, scores.recall) == (0, 0, 0)
    assert set(scores.per_class.values()) == {0.0}
    assert (precision == 0).all()


def test_classes_without_objects_do_not_count(data: CocoData) -> None:
    only = tuple(annotation for annotation in data.val.annotations if annotation.category_id != 2)
    part = CocoData(data.train, replace(data.val, annotations=only))
    scores, precision = score(part, part.val, truth(part))
    assert scores.per_class["green"] is None
    assert scores.ap == pytest.approx(1)
    assert np.isnan(precision[:, 1]).all()


def test_both_tools_give_equal_numbers(data: CocoData, untrained: Evaluation) -> None:
    pytest.importorskip("faster_coco_eval")
    mixed = [*untrained.results, *truth(data, shift=0.1, score=0.5)[5:]]
    for kind in ("bbox", "segm"):
        one, precision = score(data, data.val, mixed, kind=kind)  # type: ignore[arg-type]
        other, same = score(data, data.val, mixed, kind=kind, tool="faster-coco-eval")  # type: ignore[arg-type]
        for name, value in asdict(one).items():  # they round the last digit of a double differently
            assert asdict(other)[name] == pytest.approx(value, abs=1e-12), name
        assert 0 < one.ap < 1
        np.testing.assert_allclose(precision, same, rtol=0, atol=1e-12)


def test_missing_tool_names_the_extra(data: CocoData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faster_coco_eval", None)
    with pytest.raises(UsageError, match=r"pip install nars\[fast-eval\]"):
        score(data, data.val, truth(data), tool="faster-coco-eval")


def test_detector_is_measured_in_pixels_of_the_images(data: CocoData) -> None:
    """A detector that knows the answers sees images as they are, and gets AP 1."""

    class Oracle(nn.Module):
        seen = 0

        def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
            outputs = []
            for image in images:
                record = data.val.images[self.seen]
                assert image.shape == (3, record.height, record.width)
                assert image.min() >= 0
                assert image.max() <= 1
                self.seen += 1
                boxes = torch.tensor([annotation.box for annotation in data.val.by_image[record.id]])
                boxes[:, 2:] += boxes[:, :2]
                labels = torch.tensor([annotation.category_id for annotation in data.val.by_image[record.id]])
                outputs.append({"boxes": boxes, "labels": labels, "scores": torch.ones(len(labels))})
            return outputs

    evaluation = evaluate(Oracle(), data, device=CPU, batch_size=5)
    assert evaluation.boxes.ap == pytest.approx(1)
    assert evaluation.masks is None
    assert evaluation.main is evaluation.boxes


def test_masks_are_measured_too(untrained: Evaluation) -> None:
    assert isinstance(untrained.masks, Scores)
    assert untrained.main is untrained.masks
    assert set(untrained.numbers()) >= {"ap", "ap50", "mask_ap", "mask_ap50"}
    assert all("segmentation" in result for result in untrained.results)


@pytest.mark.parametrize(("mask", "sizes"), [(True, [2, 2, 2, 2, 2, 2]), (False, [8, 4])])
def test_masks_of_large_images_are_made_a_few_at_a_time(
    data: CocoData, monkeypatch: pytest.MonkeyPatch, mask: bool, sizes: list[int]
) -> None:
    made = toys.model(mask=mask)
    monkeypatch.setattr(loop, "_MASK_BYTES", 2 * made.settings.detections * 48 * 60)
    seen: list[int] = []
    made.register_forward_pre_hook(lambda _model, given: seen.append(len(given[0])))
    evaluate(made, data, device=CPU)
    assert seen == sizes


def test_masks_need_segmentations(data: CocoData) -> None:
    bare = replace(
        data.val,
        annotations=tuple(annotation._replace(segmentation=None) for annotation in data.val.annotations),
    )
    with pytest.raises(DataError, match="an object has no segmentation"):
        score(data, bare, truth(data), kind="segm")


def test_empty_split_is_refused(data: CocoData) -> None:
    empty = CocoData(data.train, replace(data.val, images=(), annotations=()))
    with pytest.raises(DataError, match="no images in val"):
        evaluate(toys.model(), empty, device=CPU)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 2), (40, 2000)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    found = detect(toys.model(), [torch.zeros(3, *size, dtype=torch.uint8)], CPU)[0]
    height, width = size
    assert (found["boxes"] >= 0).all()
    assert (found["boxes"] <= torch.tensor([width, height, width, height])).all()


def test_confusion_counts_every_object_and_detection(data: CocoData) -> None:
    wrong = truth(data)
    wrong[0]["category_id"] = 1 + wrong[0]["category_id"] % 3  # right place, wrong class
    missed = wrong.pop()
    wrong.append({"image_id": 1, "category_id": 1, "bbox": [0.0, 40.0, 5.0, 5.0], "score": 0.9})
    wrong.append({"image_id": 1, "category_id": 1, "bbox": [0.0, 40.0, 5.0, 5.0], "score": 0.1})  # too unsure
    matrix = confusion(data.val, wrong, data.labels)
    first = data.val.annotations[0].category_id
    assert matrix.sum() == len(data.val.annotations) + 1
    assert matrix[first - 1, first % 3] == 1
    assert matrix[missed["category_id"] - 1, 3] == 1
    assert matrix[3, 0] == 1
    assert np.trace(matrix) == len(data.val.annotations) - 2


def test_what_lies_in_a_crowd_is_no_confusion(data: CocoData) -> None:
    """Three quarters of the detection are in the crowd, which is of one class."""
    image = data.val.images[0]
    crowd = data.val.annotations[0]._replace(category_id=1, box=(0.0, 0.0, 30.0, 40.0), crowd=True)
    val = replace(data.val, images=(image,), annotations=(crowd._replace(image_id=image.id),))
    inside = {"image_id": image.id, "category_id": 1, "bbox": [10.0, 10.0, 20.0, 40.0], "score": 0.9}
    beyond = inside | {"bbox": [20.0, 10.0, 30.0, 20.0]}
    for result, counted in ((inside, 0), (beyond, 1), (inside | {"category_id": 2}, 1)):
        matrix = confusion(val, [result], data.labels)
        assert (matrix.sum(), matrix[3].sum()) == (counted, counted), result


def test_pictures(data: CocoData, untrained: Evaluation, tmp_path: Path) -> None:
    write_figures(untrained, data, "val", tmp_path)
    for name in ("precision_recall.png", "confusion.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300
    assert len(json.loads((tmp_path / "results.json").read_text())) == len(untrained.results)


def counted(model: Detector, side: int) -> int:
    """Multiply-accumulates of one forward pass, counted layer by layer."""
    total = 0

    def add(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output.numel() * weight[0].numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    model.eval()([torch.rand(3, side, side)])
    return total


@pytest.mark.parametrize("name", ["fbnetv3a_dsmask_c4", "fbnetv3g_fpn"])
def test_macs_equal_those_counted(name: str) -> None:
    settings = detector.published_settings(name).replace(shortest=(224,), longest=224, test_proposals=30)
    torch.manual_seed(0)
    model = detector.build(name, 5, settings=settings)
    assert isinstance(model, Detector)
    cost = count(model)
    found = counted(model, 224)
    assert (cost.macs, cost.side) == (found, 224)
    assert cost.params == sum(parameter.numel() for parameter in model.parameters())


def test_macs_of_masks() -> None:
    model = toys.model(mask=True)
    without = count(toys.model())
    cost = count(model)
    assert cost.mask > 0
    assert cost.macs - cost.mask == without.macs


def test_latency_is_of_a_real_image(data: CocoData) -> None:
    latency = time_detector(toys.model(), data, "val", CPU, seconds=0.05)
    assert 0 < latency.low <= latency.median <= latency.high
    assert Settings().score_threshold == 0.05


def test_a_detector_is_trained_after_it_was_measured() -> None:
    """Weights that are put into another memory format in inference mode could not be."""
    model, image = toys.model(), torch.zeros(3, 48, 48, dtype=torch.uint8)
    with torch.inference_mode():
        detect(model, [image], torch.device("cpu"))
    assert not any(parameter.is_inference() for parameter in model.parameters())
    weight = model.backbone.trunk.stages[0][0][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    target = {"boxes": torch.tensor([[2.0, 2, 20, 20]]), "labels": torch.tensor([1])}
    sum(model.train()([image / 255], [target]).values()).backward()
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
