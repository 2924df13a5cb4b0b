from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from toys import model, squares

from detector.data.coco import to_dict
from detector.data.records import CocoData
from detector.evaluation import interval
from detector.evaluation.coco_ap import evaluator_of, score
from detector.evaluation.interval import _aps, ap_interval, draws, resampled_aps
from detector.evaluation.loop import Evaluation, evaluate


def evaluation(data: CocoData, results: Sequence[dict[str, Any]]) -> Evaluation:
    scores, precision = score(data, data.val, results)
    return Evaluation(scores, None, precision, tuple(results))


def results(data: CocoData, seed: int, share: float = 0.7) -> list[dict[str, Any]]:
    """Most objects, found with boxes that are a little off, and as many false ones."""
    rng = np.random.default_rng(seed)
    found = []
    for box in to_dict(data.val)["annotations"]:
        for wrong in (False, True):
            off = rng.normal(0, 20.0 if wrong else 1.0, 4)
            sides = np.maximum(np.array(box["bbox"]) + off, 1).tolist()
            entry = {"image_id": box["image_id"], "category_id": box["category_id"], "bbox": sides}
            if wrong or rng.random() < share:
                found.append(entry | {"score": float(rng.random())})
    return found


@pytest.mark.parametrize("seed", range(5))
def test_every_image_once_gives_cocos_ap(seed: int) -> None:
    data = squares(train=2, val=12, seed=seed)
    measured = evaluation(data, results(data, seed))
    ids = [category.id for category in data.categories]
    evaluator = evaluator_of(data.val, measured.results, ids, "bbox")
    (ap,) = _aps(evaluator, np.ones((1, 12)))
    assert ap == pytest.approx(measured.boxes.ap, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_draw_has_cocos_ap_of_a_data_set_with_copies_of_its_images(seed: int) -> None:
    data = squares(train=2, val=6, seed=seed)
    crowds = tuple(box._replace(crowd=number % 5 == 0) for number, box in enumerate(data.val.annotations))
    data = replace(data, val=replace(data.val, annotations=crowds))
    found = results(data, seed)
    drawn = draws(6, seed)[:5]
    for counts, ap in zip(drawn, resampled_aps(data, found, drawn), strict=True):
        copies = [
            image for image, count in zip(data.val.images, counts, strict=True) for _ in range(int(count))
        ]
        images = [image._replace(id=number) for number, image in enumerate(copies)]
        boxes = [
            box._replace(image_id=number)
            for number, image in enumerate(copies)
            for box in data.val.by_image[image.id]
        ]
        entries = [
            entry | {"image_id": number}
            for number, image in enumerate(copies)
            for entry in found
            if entry["image_id"] == image.id
        ]
        val = replace(data.val, images=tuple(images), annotations=tuple(boxes))
        assert ap == pytest.approx(score(data, val, entries)[0].ap, abs=1e-9)


def test_more_images_give_a_narrower_interval_around_the_ap() -> None:
    widths = []
    for count in (8, 128):
        data = squares(train=2, val=count)
        measured = evaluation(data, results(data, 1))
        ends = ap_interval(data, measured)
        assert ends is not None
        low, high = ends
        assert low < measured.boxes.ap < high
        assert ap_interval(data, measured) == ends
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_draws_of_many_detections_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = squares(train=2, val=100)
    many = [entry for seed in range(20) for entry in results(data, seed)]
    evaluator, drawn = evaluator_of(data.val, many, [1, 2, 3], "bbox"), draws(100, seed=0)
    whole = _aps(evaluator, drawn)
    monkeypatch.setattr(interval, "_AT_ONCE", 20_000)
    tracemalloc.start()
    few = _aps(evaluator, drawn)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert few == pytest.approx(whole)
    assert most < 8e6  # of 1700 detections of a class in 200 draws, an array has 2.7 MB; there are eight


def test_nothing_found_and_single_images_have_no_interval() -> None:
    data = squares(train=2, val=4)
    assert ap_interval(data, evaluation(data, [])) is None
    single = squares(train=2, val=1)
    assert ap_interval(single, evaluation(single, results(single, 0))) is None


def test_masks_have_the_interval_of_masks() -> None:
    data = squares(train=2, val=4)
    measured = evaluate(model(mask=True, score_threshold=0.0), data, device=torch.device("cpu"))
    assert measured.masks is not None
    ends = ap_interval(data, measured)
    assert ends is not None
    assert ends[0] <= measured.main.ap + 1e-9
