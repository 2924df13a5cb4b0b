"""Detections in images, folders, patterns and videos, as COCO writes results."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from detector.data import images, scenes
from detector.data.masks import encode
from detector.deploy import video
from detector.evaluation.coco_ap import detect
from detector.model.detector import Detector
from nars.errors import DataError

__all__ = ["Detections", "Picture", "pictures", "predict", "results"]

logger = logging.getLogger(__name__)

Detections = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Picture:
    name: str
    """The path as it was found; of a frame with its number: ``film.mp4#12``."""
    pixels: Tensor
    """uint8 RGB [3, H, W], turned as its EXIF note says."""


def pictures(sources: Sequence[str | Path], *, drop_bad: bool = False, every: int = 1) -> Iterator[Picture]:
    """The pictures of files, folders, patterns such as ``photos/*.jpg`` and videos, in order.

    ``digit-scenes`` is the validation part of the embedded data. Of videos `every` so many frames
    are read. Raises `DataError` for a source without pictures, and for a picture that cannot be
    read unless `drop_bad` leaves it out.
    """
    for source in sources:
        if source == scenes.NAME:
            val = scenes.make().val
            yield from (Picture(image.file, images.load(val, image)) for image in val.images)
            continue
        for path in _files(source):
            try:
                yield from _read(path, every)
            except DataError as error:
                if not drop_bad:
                    raise
                logger.warning("%s; left out", error)


def predict(
    model: Detector, found: Iterable[Picture], device: torch.device, *, batch_size: int = 8
) -> Iterator[tuple[Picture, Detections]]:
    """Each picture with its detections in its own pixels: see `detector.model.detector.Detector`."""
    remaining = iter(found)
    while batch := list(islice(remaining, batch_size)):
        yield from zip(batch, detect(model, [each.pixels for each in batch], device), strict=True)


def results(
    image_id: int, picture: Picture, output: Detections, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """COCO's results of a picture, with the names of file and class beside the numbers.

    Boxes are left, top, width, height; category k is class k - 1.
    """
    boxes = output["boxes"].double()
    boxes = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)
    rows: list[dict[str, Any]] = [
        {
            "image_id": image_id,
            "category_id": label,
            "bbox": [round(number, 2) for number in box],
            "score": round(score, 5),
            "file_name": picture.name,
            "category": classes[label - 1],
        }
        for box, label, score in zip(
            boxes.tolist(), output["labels"].tolist(), output["scores"].tolist(), strict=True
        )
    ]
    if "masks" in output:
        for row, mask in zip(rows, output["masks"], strict=True):
            row["segmentation"] = encode(mask[0].numpy())
    return rows


def _files(source: str | Path) -> list[Path]:
    """The files of a source, sorted."""
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        known = Image.registered_extensions().keys() | video.SUFFIXES
        found = sorted(each for each in path.rglob("*") if each.suffix.lower() in known and each.is_file())
        if not found:
            raise DataError(f"{path}: no picture in this folder")
        return found
    places = glob(str(source), recursive=True)  # noqa: PTH207  absolute patterns too, which Path.glob refuses
    found = sorted(each for each in map(Path, places) if each.is_file())
    if not found:
        raise DataError(f"{source}: no such file, folder or pattern (or {scenes.NAME})")
    return found


def _read(path: Path, every: int) -> Iterator[Picture]:
    if path.suffix.lower() in video.SUFFIXES:
        for number, pixels in video.frames(path, every):
            yield Picture(f"{path}#{number}", pixels)
    else:
        yield Picture(str(path), images.read(path))
