from __future__ import annotations

from dataclasses import replace

import toys

from detector.data.records import CocoData
from detector.space.remarks import remarks, remarks_on
from detector.space.space import DetectorSpace
from detector.space.spaces import DEFAULT, space


def searched(fpn: object) -> DetectorSpace:
    return space(DEFAULT).replace(num_classes=3, resolution=[128, 192], fpn=fpn)


def with_boxes(side: float) -> CocoData:
    """Two training images, one of whose boxes has this side; the toys' images are 48 pixels wide or high."""
    data = toys.squares(2, 1)
    first, *rest = data.train.annotations
    return replace(
        data, train=replace(data.train, annotations=(first._replace(box=(2, 2, side, side)), *rest))
    )


def test_large_boxes_need_no_remark() -> None:
    for fpn in (None, 64, [None, 64]):
        assert remarks(searched(fpn), with_boxes(10)) == []


def test_boxes_below_the_finest_anchor_are_counted_with_the_size_that_would_do() -> None:
    data = with_boxes(3)
    boxes = len(data.train.annotations) + len(data.val.annotations)
    (said,) = remarks(searched(None), data)
    assert said == (
        f"1 of {boxes} boxes is too small for the finest anchors, of 32 pixels, at the largest input size "
        "searched, 192: a shorter side of 288 would do "
        "(the smallest, 12 x 12 pixels there, is in train-1.png)"
    )
    assert remarks(searched(64), data) == []
    (said,) = remarks(searched([None, 64]), data)
    assert said.startswith(f"without a pyramid, 1 of {boxes} boxes is too small")


def test_what_not_even_a_pyramid_sees_is_said_of_pyramids() -> None:
    (said,) = remarks(searched([None, 64]), with_boxes(0.5))
    assert "the finest anchors, of 8 pixels, at the largest input size searched, 192" in said


def test_a_detector_to_be_trained_is_judged_at_its_own_size() -> None:
    model, data = toys.model(), with_boxes(2)  # anchors of 8 pixels: two cells of a map of stride 4
    boxes = len(data.train.annotations) + len(data.val.annotations)
    (said,) = remarks_on(model, data)
    assert said.startswith(
        f"1 of {boxes} boxes is too small for the finest anchors, of 8 pixels, at the input size 48: a"
    )
    assert remarks_on(model, with_boxes(10)) == []
