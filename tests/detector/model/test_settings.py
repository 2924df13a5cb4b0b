from __future__ import annotations

import pytest

from detector.model.catalogue import published_settings
from detector.model.settings import Pixels, Settings
from nars.errors import SpecError

PUBLISHED = {
    "shortest": (224,),
    "longest": 320,
    "norm": "naive_sync_bn",
    "anchor_sizes": ((32, 64, 96, 128, 160),),
    "anchor_ratios": (0.5, 1, 2),
    "rpn_background_iou": 0.3,
    "rpn_object_iou": 0.7,
    "rpn_samples": 256,
    "rpn_positives": 0.5,
    "rpn_nms": 0.7,
    "train_candidates": 2000,
    "train_proposals": 2000,
    "test_candidates": 1000,
    "test_proposals": 30,
    "pooler_resolution": 6,
    "box_background_iou": 0.5,
    "box_object_iou": 0.5,
    "box_samples": 512,
    "box_positives": 0.25,
    "score_threshold": 0.05,
    "box_nms": 0.5,
    "detections": 100,
    "mask_pooler_resolution": 14,
}


def test_defaults_are_the_published_ones() -> None:
    settings = Settings()
    assert {name: getattr(settings, name) for name in PUBLISHED} == PUBLISHED
    assert settings.pixels == Pixels(order="bgr", mean=(103.53, 116.28, 123.675), std=(1, 1, 1))
    assert settings.anchors_per_cell == 15
    assert published_settings("fbnetv3a_c4") == settings


def test_the_pyramid_has_its_own() -> None:
    settings = published_settings("fbnetv3g_fpn")
    assert settings.shortest == (640, 672, 704, 736, 768, 800)
    assert settings.longest == 1333
    assert settings.anchor_sizes == ((32,), (64,), (128,), (256,), (512,))
    assert settings.anchors_per_cell == 3
    assert (settings.test_candidates, settings.test_proposals) == (1000, 1000)


def test_round_trip_through_yaml() -> None:
    settings = Settings(
        norm="gn", freeze=2, anchor_ratios=(1, 3), pixels=Pixels(order="rgb", std=(58, 57, 57))
    )
    assert Settings.from_yaml(settings.to_yaml()) == settings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"rpn_background_iou": 0.8},
            "rpn_background_iou must not be above rpn_object_iou, got 0.8 and 0.7",
        ),
        ({"box_object_iou": 0.4}, "box_background_iou must not be above box_object_iou, got 0.5 and 0.4"),
        ({"shortest": (200, 400)}, "shortest must not be above longest, got 400 and 320"),
        ({"anchor_sizes": ((32,), (64, 128))}, r"as many for every map, which share one head, got \[1, 2\]"),
        ({"anchor_ratios": ()}, "anchor_ratios: Tuple should have at least 1 item"),
        ({"anchor_ratios": (0.5, 0)}, "anchor_ratios.1: Input should be greater than 0, got 0"),
        ({"norm": "batch"}, "norm: Input should be 'bn', 'gn', .* got 'batch'"),
        ({"freeze": -1}, "freeze: Input should be greater than or equal to 0, got -1"),
        ({"score_threshold": 1.5}, "score_threshold: Input should be less than or equal to 1, got 1.5"),
        ({"pooler_resolution": 0}, "pooler_resolution: .* greater than or equal to 1, got 0"),
        ({"pixels": {"std": (0, 1, 1)}}, "std must be above 0"),
        ({"rpn_nsm": 0.5}, "unknown key 'rpn_nsm' of settings: did you mean 'rpn_nms'"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Settings(**fields)


def test_equal_bounds_leave_nothing_between() -> None:
    assert Settings(rpn_background_iou=0.5, rpn_object_iou=0.5).rpn_object_iou == 0.5
