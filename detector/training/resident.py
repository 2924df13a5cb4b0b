"""Training images on the GPU: decoded once, kept at training size, and augmented there a batch at a time.

A loader of a few processes needs longer for a batch than a GPU for a recorded step on it. What is
drawn for an image is a row of numbers, so the step that augments can be recorded, too. Colours are
changed as by torchvision, except that hue turns around the grey axis and the order is fixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detector.model.batched.slots import Batch, Slots, slots_for
from detector.model.detector import Detector
from detector.training.augment import Augmentation
from detector.training.batches import GroupedBatches, SampleIndex
from detector.training.colours import LARGEST_CHANGE, LARGEST_TURN, coloured
from detector.training.dataset import DetectionDataset
from nars import parallel

__all__ = ["Resident", "fits"]

_SHARE = 0.25
"""Part of the free memory that images may take."""

_THREADS = 8
"""Threads that decode images at the start."""

_STEP = 32
"""Sides of a batch are multiples of this, so that few different shapes are met."""

_LEAST_SIDE = 1.0
"""Pixels of a side below which a box is dropped, as by torchvision's SanitizeBoundingBoxes."""


def fits(dataset: DetectionDataset, device: torch.device) -> bool:
    """Whether a data set can be kept on this device; CPUs, masks and mosaics are left to a loader.

    Several processes keep it only if there is room on the device of each, since all take the same steps.
    """
    settings = dataset.settings
    if device.type != "cuda" or dataset.masks or settings.mosaic or len(settings.shortest) > 1:
        return False
    heights, widths = zip(*dataset.training_sizes, strict=True)
    free = -parallel.largest([-torch.cuda.mem_get_info(device)[0]], device)[0]
    return bool(3 * len(dataset) * max(heights) * max(widths) < _SHARE * free)


class Resident:
    """The training images and boxes of a data set on one device.

    Iterating gives the inputs of `assemble` for every batch that is left of the epoch. Draws depend
    on seed, epoch and image alone.
    """

    def __init__(
        self, dataset: DetectionDataset, batches: GroupedBatches, model: Detector, device: torch.device
    ) -> None:
        """Decode all images. Raises `DataError` for one that cannot be read."""
        self.settings, self.batches, self.device = dataset.settings, batches, device
        self.seed, self.transform = dataset.seed, model.transform
        self.sizes = np.array(dataset.training_sizes)  # [M, 2], height and width
        slots = slots_for(dataset.most_objects)
        height, width = (int(side) for side in self.sizes.max(0))
        count = len(dataset)
        self._images = torch.zeros(count, 3, height, width, dtype=torch.uint8, device=device)
        self._boxes = torch.zeros(count, slots, 4, device=device)
        self._labels = torch.zeros(count, slots, dtype=torch.int64, device=device)
        self._filled = torch.zeros(count, slots, dtype=torch.bool, device=device)
        with ThreadPoolExecutor(_THREADS) as pool:
            for index, (image, target) in enumerate(pool.map(dataset.at_training_size, range(count))):
                objects = len(target["boxes"])
                self._images[index, :, : image.shape[1], : image.shape[2]] = image.to(device)
                self._boxes[index, :objects] = target["boxes"].to(device)
                self._labels[index, :objects] = target["labels"].to(device)
                self._filled[index, :objects] = True

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for keys in self.batches:
            yield self.inputs(keys)

    def inputs(self, keys: Sequence[SampleIndex]) -> tuple[Tensor, ...]:
        """Draw how the images of a batch are changed, and return the inputs of `assemble`."""
        numbers = [key.image for key in keys]
        rows = [self._drawn(key) for key in keys]
        # An empty tensor, whose shape is the size of the batch: a recording is chosen by shapes.
        size = parallel.largest(self._canvas(self.sizes[numbers].max(0)), self.device)
        canvas = torch.empty(*size, 0, device=self.device)
        return self._moved(torch.tensor(numbers)), self._moved(torch.tensor(np.stack(rows))), canvas

    def assemble(self, numbers: Tensor, draws: Tensor, canvas: Tensor) -> Batch:
        """Return the images [N] of these numbers, changed by `draws` [N, 11], on a canvas [H, W, 0]."""
        height, width = canvas.shape[:2]
        pace_x, pace_y, left, top, wide, high, flip = (each[:, None] for each in draws[:, :7].unbind(1))
        x, y = torch.arange(width, device=draws.device), torch.arange(height, device=draws.device)
        inside = (y < high)[:, :, None] & (x < wide)[:, None, :]
        mirrored = torch.where(flip > 0, wide - 1 - x, x.to(draws.dtype))
        columns = _within(mirrored, pace_x, left, wide) / (self._images.shape[3] / 2) - 1
        rows = _within(y.to(draws.dtype).expand(len(draws), -1), pace_y, top, high)
        rows = rows / (self._images.shape[2] / 2) - 1
        grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), dim=-1)
        pixels = self._images.index_select(0, numbers).float() / 255
        images = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        if self.settings.photometric:
            images = coloured(images, draws[:, 7:], inside)
        images = torch.where(inside[:, None], self.transform.normalized(images), 0.0)
        return Batch(images, torch.cat([high, wide], dim=1), self._slots(numbers, draws[:, :7]))

    def _slots(self, numbers: Tensor, draws: Tensor) -> Slots:
        pace_x, pace_y, left, top, wide, high, flip = (each[:, None] for each in draws.unbind(1))
        x0, y0, x1, y1 = self._boxes.index_select(0, numbers).unbind(2)
        x0, x1 = ((x - left) / pace_x for x in (x0, x1))
        y0, y1 = ((y - top) / pace_y for y in (y0, y1))
        x0, x1 = torch.where(flip > 0, wide - x1, x0), torch.where(flip > 0, wide - x0, x1)
        boxes = torch.stack([x0, y0, x1, y1], dim=2).clamp(min=0)
        boxes = torch.minimum(boxes, torch.cat([wide, high, wide, high], dim=1)[:, None])
        visible = (boxes[..., 2:] - boxes[..., :2] >= _LEAST_SIDE).all(2)
        filled = self._filled.index_select(0, numbers) & visible
        labels = self._labels.index_select(0, numbers)
        return Slots(torch.where(filled[..., None], boxes, 0.0), torch.where(filled, labels, 0), filled)

    def _drawn(self, key: SampleIndex) -> NDArray[np.float32]:
        """Draw the numbers [11] by which an image is changed in an epoch.

        They are pixels of the kept image per pixel across and down, left and top of the part that is
        seen, width and height that it gets, whether it is mirrored, and the numbers of `coloured`.
        """
        settings: Augmentation = self.settings
        rng = np.random.default_rng([self.seed, key.epoch, key.image])
        high, wide = (int(side) for side in self.sizes[key.image])
        factor = rng.uniform(*settings.jitter)
        seen, given = np.array([wide, high], np.float64), np.array([wide, high], np.float64)
        if factor > 1:
            seen = np.maximum(1, np.floor(seen / factor + 0.5))
        else:
            given = np.maximum(1, np.floor(given * factor + 0.5))
        corner = np.floor(rng.random(2) * (np.array([wide, high]) - seen + 1))
        flip = rng.random() < settings.flip
        changes = rng.uniform(1 - LARGEST_CHANGE, 1 + LARGEST_CHANGE, 3)
        turn = rng.uniform(-LARGEST_TURN, LARGEST_TURN)
        if rng.random() >= settings.photometric:
            changes, turn = np.ones(3), 0.0
        return np.concatenate([seen / given, corner, given, [flip], changes, [turn]]).astype(np.float32)

    def _canvas(self, size: NDArray[np.int64]) -> list[int]:
        """Return height and width of a batch whose largest image has this size."""
        step = int(np.lcm(_STEP, self.transform.size_divisible))
        return [-(-max(int(side), self.transform.smallest_side) // step) * step for side in size]

    def _moved(self, tensor: Tensor) -> Tensor:
        """Copy a tensor to the device without waiting for it."""
        if self.device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)


def _within(pixels: Tensor, pace: Tensor, start: Tensor, count: Tensor) -> Tensor:
    """Return where the centres of `pixels` are in the kept image, never beyond the part that is seen."""
    places = (pixels + 0.5) * pace + start
    return torch.minimum(torch.maximum(places, start + 0.5), start + count * pace - 0.5)
