"""A detection task that a tiny detector learns in seconds: coloured squares on grey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_detector import SMALL

from detector.data.masks import encode
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Subset
from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.model.settings import Settings
from detector.training.hyperparameters import Training
from nars.spec import Block

COLOURS = ((220, 40, 40), (40, 200, 60), (50, 60, 230))
CLASSES = ("red", "green", "blue")

PARTS = Parts(
    name="toy",
    trunk=[
        [Block(op="conv", channels=8, kernel=3, stride=2)],
        [Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2)],
    ],
    rpn=SMALL.rpn,
    box=SMALL.box,
    mask=SMALL.mask,
)
SETTINGS = Settings(
    shortest=(48,),
    longest=64,
    resize_in_training=False,
    norm="bn",
    anchor_sizes=((12, 20),),
    anchor_ratios=(1.0,),
    train_candidates=60,
    train_proposals=24,
    test_candidates=60,
    test_proposals=12,
    rpn_samples=32,
    box_samples=24,
    pooler_resolution=4,
    mask_pooler_resolution=6,
)
TRAINING = Training(epochs=3, batch_size=4, lr=0.02, lr_images=4, flip=0, ema=True, ema_decay=0.9)


def squares(train: int = 16, val: int = 8, seed: int = 0) -> CocoData:
    return CocoData(*(_subset(name, count, seed) for name, count in (("train", train), ("val", val))))


def in_other_order(data: CocoData) -> CocoData:
    """The same data with the ids of the categories, and so the classes, in the other order."""
    last = 10 + max(category.id for category in data.categories)

    def part(subset: Subset) -> Subset:
        categories = tuple(category._replace(id=last - category.id) for category in subset.categories)
        annotations = tuple(each._replace(category_id=last - each.category_id) for each in subset.annotations)
        return replace(subset, categories=categories, annotations=annotations)

    return CocoData(part(data.train), part(data.val))


def model(seed: int = 0, **changes: Any) -> Detector:
    torch.manual_seed(seed)
    return Detector(PARTS, len(CLASSES), SETTINGS.replace(**changes))


def _subset(name: str, count: int, seed: int) -> Subset:
    rng = np.random.default_rng([seed, ord(name[0])])
    images, annotations, pixels = [], [], {}
    for number in range(1, count + 1):
        height, width = ((48, 48), (48, 60), (60, 48))[rng.integers(3)]
        canvas = rng.integers(90, 130, (height, width, 3)).astype(np.uint8)
        for left, top in ((2, 2), (26, 24))[: rng.integers(1, 3)]:
            side, colour = int(rng.integers(10, 21)), int(rng.integers(3))
            canvas[top : top + side, left : left + side] = COLOURS[colour]
            mask = np.zeros((height, width), dtype=np.uint8)
            mask[top : top + side, left : left + side] = 1
            box = (float(left), float(top), float(side), float(side))
            annotations.append(
                Annotation(
                    len(annotations) + 1, number, colour + 1, box, float(side**2), segmentation=encode(mask)
                )
            )
        images.append(ImageRecord(number, f"{name}-{number}.png", width, height))
        pixels[number] = canvas
    categories = tuple(Category(index + 1, word) for index, word in enumerate(CLASSES))
    place = Path("squares")
    return Subset(name, place, place, tuple(images), tuple(annotations), categories, pixels)
