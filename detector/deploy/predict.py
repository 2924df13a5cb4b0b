"""Finds objects in images, folders, patterns and videos, and writes them as COCO's results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detector.data import images, scenes
from detector.deploy.ids import Ids
from detector.evaluation.loop import detect
from detector.evaluation.results import coco_results
from detector.model.detector import Detector
from detector.model.targets import Detections
from nars.deploy import video
from nars.deploy.sources import files, is_video
from nars.errors import DataError

__all__ = ["Picture", "pictures", "predict", "results"]


@dataclass(frozen=True, eq=False)
class Picture:
    """An image or a frame of a video."""

    name: str
    """Its path; for a frame with its number: ``film.mp4#12``."""
    pixels: Tensor
    """Pixels uint8 RGB [3, H, W], turned as the EXIF note says, unless it is read as that of a data set."""


def pictures(
    sources: Sequence[str | Path],
    *,
    every: int = 1,
    without: Path | None = None,
    read: Callable[[Path], Tensor] = images.read,
) -> Iterator[Picture | DataError]:
    """Read the pictures of files, folders, patterns such as ``photos/*.jpg`` and videos, in order.

    ``digit-scenes`` gives the validation images of the embedded data. Videos give one frame in
    `every`. Results in the folder `without` are passed over. Images are read by `read`, and an error takes
    the place of one that cannot be read. Raises `DataError` for a source without pictures, before the first.
    """
    named = (scenes.NAME,)
    found = [
        [None] if source == scenes.NAME else files(source, names=named, without=without) for source in sources
    ]
    return _opened([path for paths in found for path in paths], every, read)


def _opened(
    found: Sequence[Path | None], every: int, read: Callable[[Path], Tensor]
) -> Iterator[Picture | DataError]:
    """Read the pictures of files; None stands for the embedded scenes."""
    for path in found:
        if path is None:
            val = scenes.make().val
            yield from (Picture(image.file, images.load(val, image)) for image in val.images)
            continue
        try:
            yield from _read(path, every, read)
        except DataError as error:
            yield error


def predict(
    model: Detector, pictures: Iterable[Picture | DataError], device: torch.device, *, batch_size: int = 8
) -> Iterator[tuple[Picture, Detections] | DataError]:
    """Yield each picture with its detections, whose boxes are in pixels of the picture, or its error.

    Pictures are taken in batches, but one by one if there are masks, which are as large as they.
    """
    remaining = iter(pictures)
    count = 1 if model.settings.mask else batch_size
    while batch := list(islice(remaining, count)):
        pixels = [picture.pixels for picture in batch if isinstance(picture, Picture)]
        detections = iter(detect(model, pixels, device) if pixels else ())
        yield from (
            (picture, next(detections)) if isinstance(picture, Picture) else picture for picture in batch
        )


def results(
    number: int, picture: Picture, detections: Detections, classes: Sequence[str], ids: Ids | None = None
) -> list[dict[str, Any]]:
    """Return COCO's results of a picture, rounded, with the names of file and class added.

    Image and category have the `ids`; without them the image has its number, and category k is class k - 1.
    Raises `DataError` for a picture without an id.
    """
    ids = ids or Ids(classes)
    rows = []
    results = coco_results(ids.image(number, picture.name), detections, ids.category_of)
    for label, result in zip(detections["labels"].tolist(), results, strict=True):
        rounded = {"bbox": [round(edge, 2) for edge in result["bbox"]], "score": round(result["score"], 5)}
        names = {"file_name": picture.name, "category": classes[label - 1]}
        rows.append(result | rounded | names)
    return rows


def _read(path: Path, every: int, read: Callable[[Path], Tensor]) -> Iterator[Picture]:
    if is_video(path):
        for number, pixels in video.frames(path, every):
            yield Picture(f"{path}#{number}", pixels)
    else:
        yield Picture(str(path), read(path))
