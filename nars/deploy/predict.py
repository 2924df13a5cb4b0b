"""Classifies images and videos, prepared as an evaluation prepares those of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from nars.data import Picture, normalise, read_rgb
from nars.data.augment import resize
from nars.data.decoding import KEPT_SIDE
from nars.data.pictures import Fit, detail, read_square, reading_threads
from nars.deploy import video
from nars.deploy.drawing import draw_label, enlarged, font_for
from nars.deploy.fonts import font_with
from nars.deploy.sources import files, is_video
from nars.device import half_precision, memory_errors
from nars.errors import DataError
from nars.networks.weights import Weights

__all__ = ["Prediction", "draw", "pictures", "predict"]

_BATCH = 32
"""Pictures at a time."""

_DRAWN_SIDE = 640
"""Pixels of the longer side of drawn pictures, at most."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer of a network for one picture."""

    picture: Picture
    probabilities: Tensor
    """Probabilities [K] of the classes, on the CPU."""

    def top(self, count: int) -> list[tuple[int, float]]:
        """The `count` most probable classes, at most all, as pairs of index and probability."""
        values, indices = self.probabilities.topk(min(count, len(self.probabilities)))
        return list(zip(indices.tolist(), values.tolist(), strict=True))


def pictures(
    sources: Sequence[str | Path], *, every: int = 1, without: Path | None = None
) -> Iterator[Picture | DataError]:
    """List the pictures of files, folders, patterns and videos, in order; they are not read yet.

    Videos give one frame in `every`, called ``film.mp4#12``; an error takes the place of the rest of a
    damaged one. What is in the folder `without` is passed over. Raises `DataError` for a source without
    files, before the first picture, and `UsageError` for a video without PyAV.
    """
    found = [file for source in sources for file in files(source, without=without)]
    return _opened(found, every)


def _opened(found: Sequence[Path], every: int) -> Iterator[Picture | DataError]:
    for path in found:
        if not is_video(path):
            yield Picture(str(path), 0, partial(read_rgb, path))
            continue
        try:
            for number, pixels in video.frames(path, every):
                yield Picture(f"{path}#{number}", 0, partial(_frame, pixels))
        except DataError as error:
            yield error


def predict(
    trained: Weights, pictures: Iterable[Picture | DataError], device: torch.device
) -> Iterator[Prediction | DataError]:
    """Yield the prediction of each picture, or the error that reading it raised, in order.

    A picture becomes a square as in the evaluation of a folder whose pictures have its size. Raises
    `WeightsError`, and `TrialMemoryError`.
    """
    classify = _Classifier(trained, device)
    read = partial(_prepared, resolution=classify.resolution, fit=trained.candidate.recipe.fit)
    waiting = iter(pictures)
    with reading_threads() as pool:
        while batch := list(islice(waiting, _BATCH)):
            images = list(pool.map(read, batch))
            answers = iter(classify([image for image in images if isinstance(image, Tensor)]))
            for picture, image in zip(batch, images, strict=True):
                if isinstance(image, DataError):
                    yield image
                elif isinstance(picture, Picture):
                    yield Prediction(picture, next(answers))


class _Classifier:
    """A trained network on a device, from prepared images to probabilities."""

    def __init__(self, trained: Weights, device: torch.device) -> None:
        architecture = trained.candidate.architecture
        self.resolution = architecture.resolution
        channels = architecture.in_channels
        self.device = device
        self._network = trained.network().to(device)
        self._mean = torch.tensor(trained.mean)[:channels].to(device)
        self._std = torch.tensor(trained.std)[:channels].to(device)

    @torch.inference_mode()
    def __call__(self, images: Sequence[Tensor]) -> Tensor:
        """Probabilities [N, K] on the CPU for N images uint8 [3, R, R]."""
        if not images:
            return torch.empty(0)
        half = half_precision(self.device)
        batch = torch.stack(list(images)).to(self.device)
        with (
            memory_errors(f"predicting at {self.resolution} px"),
            torch.autocast(self.device.type, dtype=half, enabled=half is not None),
        ):
            logits: Tensor = self._network(normalise(batch, self._mean, self._std))
        return logits.float().softmax(1).cpu()


def draw(prediction: Prediction, classes: Sequence[str], count: int) -> Image.Image:
    """The picture with the `count` most probable classes written into it.

    Raises `DataError` if it cannot be read any more.
    """
    image = prediction.picture.open(_DRAWN_SIDE).copy()
    image.thumbnail((_DRAWN_SIDE, _DRAWN_SIDE))
    image, _ = enlarged(image)
    canvas, font = ImageDraw.Draw(image), font_for(image)
    bottom = 0.0
    for label, probability in prediction.top(count):
        text = f"{classes[label]} {probability:.2f}"
        written, suited = font_with(text, font)
        _, top, _, base = canvas.textbbox((0, 0), written, font=suited)
        bottom += base - top + 5
        draw_label(canvas, 0, bottom, text, label, font)
    return image


def _frame(pixels: Tensor, side: int) -> Image.Image:
    """A frame uint8 [3, H, W] of a video as a picture of any size."""
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


def _prepared(picture: Picture | DataError, resolution: int, fit: Fit) -> Tensor | DataError:
    """The picture as uint8 [3, R, R], or the error that reading it raised.

    It is resized twice, as by `nars.data.decoding`, which keeps pictures at a side of at most 256.
    """
    if isinstance(picture, DataError):
        return picture
    try:
        side = detail(picture.open(KEPT_SIDE + 1).size, fit)
    except DataError as error:
        return error
    kept, fitted = min(side, KEPT_SIDE), picture._replace(fit=fit)
    if resolution > kept and side > kept:
        return read_square(fitted, resolution)
    square = read_square(fitted, kept)
    return resize(square[None], resolution)[0] if isinstance(square, Tensor) else square
