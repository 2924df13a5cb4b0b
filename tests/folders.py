"""Small data sets on disk for the tests to read, spoil and read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nars.foreign.parts import Part

Document = dict[str, Any]


def picture(path: Path, width: int, height: int, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def colour(path: Path, value: int, size: tuple[int, int] = (12, 8)) -> None:
    """Write a picture of one colour, whose red level is `value`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 10, 20)).save(path)


def document(count: int, width: int = 64, height: int = 48) -> Document:
    """COCO's object: images 1..count, each with two boxes, of categories 3 and 7."""
    boxes = [[4.0, 6.0, 20.0, 10.0], [30.0, 8.0, 12.5, 30.0]]
    return {
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": width, "height": height} for n in range(1, count + 1)
        ],
        "annotations": [
            {"id": 2 * n + k, "image_id": n, "category_id": (7, 3)[k], "bbox": boxes[k], "iscrowd": 0}
            for n in range(1, count + 1)
            for k in (0, 1)
        ],
        "categories": [{"id": 7, "name": "cup"}, {"id": 3, "name": "spoon"}],
    }


def coco(folder: Path, spoil: Callable[[Document], object] = lambda document: None) -> Path:
    """``train/`` with four images and ``val/`` with two; `spoil` may change the training annotations."""
    for split, count, seed in (("train", 4, 0), ("val", 2, 100)):
        content = document(count)
        for image in content["images"]:
            picture(folder / split / image["file_name"], image["width"], image["height"], seed + image["id"])
        if split == "train":
            spoil(content)
        (folder / split / "annotations.json").write_text(json.dumps(content))
    return folder


def part_lines(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The lines that a terminal shows of the ``parts`` in a command's JSON."""
    return [
        Part(
            row["part"],
            row["images"],
            tuple(row["classes"]),
            row["layout"],
            row["boxes"],
            tuple(row["notes"]),
            row["passed_over"],
        ).line()
        for row in rows
    ]
