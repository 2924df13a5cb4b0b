"""A split as a torch data set in the form that torchvision's detectors take, and its loaders.

A sample is a function of seed, epoch and index: augmentation is the same whatever the number
of workers, and after a restart.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors

from detector.data import images
from detector.data.masks import decode
from detector.data.records import Annotation, CocoData, ImageRecord, Segmentation, Subset
from detector.training.augment import Augmentation, Sample, Target, mosaic, pipeline
from detector.training.batches import GroupedBatches, SampleIndex
from nars.errors import DataError

__all__ = ["Batch", "DetectionDataset", "collate", "training_loader"]

log = logging.getLogger(__name__)

Batch = tuple[list[Tensor], list[Target]]


class DetectionDataset(Dataset[Sample]):
    """Images as float RGB (3, height, width) in 0..1, resized, with these targets:

    - ``boxes`` float32 (N, 4): left, top, right, bottom in pixels of the resized image
    - ``labels`` int64 (N): 1..K
    - ``masks`` uint8 (N, height, width), where asked for
    - ``area`` float32 (N), of the masks where there are any; ``iscrowd`` int64 (N), zeros
    - ``image_id`` int64 (), ``size`` int64 (2): height and width of the image as it was

    Crowds are left out; an image without boxes is background, with N = 0. The records are to
    be those of `detector.data.check.usable`. Reading raises `DataError` that names the file.
    """

    def __init__(
        self,
        split: Subset,
        labels: Mapping[int, int],
        settings: Augmentation,
        masks: bool = False,
        seed: int = 0,
    ) -> None:
        self.settings = settings
        self.masks = masks
        self.seed = seed
        self._pipeline = pipeline(settings)
        # Arrays instead of a record for each box: worker processes share them uncopied.
        self._split = replace(split, annotations=())
        chosen = [_targets(split, image, labels, masks) for image in split.images]
        counts = [len(annotations) for annotations in chosen]
        flat = [annotation for annotations in chosen for annotation in annotations]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._labels = torch.tensor([labels[one.category_id] for one in flat], dtype=torch.int64)
        self._boxes = torch.tensor([one.box for one in flat], dtype=torch.float32).reshape(-1, 4)
        self._boxes[:, 2:] += self._boxes[:, :2]
        self._segmentations: list[Segmentation | None] = [one.segmentation for one in flat] if masks else []

    @classmethod
    def training(
        cls, data: CocoData, settings: Augmentation, masks: bool = False, seed: int = 0
    ) -> DetectionDataset:
        return cls(data.train, data.labels, settings, masks, seed)

    @property
    def aspect_ratios(self) -> list[float]:
        """Width over height of every image, for `GroupedBatches`."""
        return [image.width / image.height for image in self._split.images]

    def file_of(self, image_id: int) -> Path:
        """The file of an ``image_id``, to be named in a message."""
        return next(self._split.path(image) for image in self._split.images if image.id == image_id)

    def __len__(self) -> int:
        return len(self._split.images)

    def __getitem__(self, draw: SampleIndex | int) -> Sample:
        """A sample of an epoch; a plain index is one of epoch 0."""
        epoch, index = draw if isinstance(draw, SampleIndex) else (0, draw)
        if not 0 <= index < len(self):
            raise IndexError(index)
        seed = np.random.SeedSequence([self.seed, epoch, index]).generate_state(1, np.uint64)[0]
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(int(seed))
            sample = self._raw(index)
            if self.settings.mosaic and torch.rand(()).item() < self.settings.mosaic:
                others = torch.randint(len(self), (3,)).tolist()
                sample = mosaic([sample, *map(self._raw, others)], max(self.settings.shortest))
            image, target = self._pipeline(*sample)
        return image, target | _measures(target)

    def _raw(self, index: int) -> Sample:
        """The sample as it is stored: uint8, of its own size, as tv_tensors."""
        record = self._split.images[index]
        size = (record.height, record.width)
        own = slice(self._starts[index], self._starts[index + 1])
        boxes = tv_tensors.BoundingBoxes(self._boxes[own], format="XYXY", canvas_size=size)
        target = {
            "boxes": boxes,
            "labels": self._labels[own],
            "image_id": torch.tensor(record.id),
            "size": torch.tensor(size),
        }
        if self.masks:
            masks = np.zeros((len(boxes), *size), dtype=np.uint8)
            for number, segmentation in enumerate(self._segmentations[own]):
                assert segmentation is not None, record
                masks[number] = decode(segmentation, *size)
            target["masks"] = tv_tensors.Mask(torch.from_numpy(masks))
        return tv_tensors.Image(images.load(self._split, record)), target


def _targets(split: Subset, image: ImageRecord, labels: Mapping[int, int], masks: bool) -> list[Annotation]:
    """The annotations to train on, their boxes clipped to the image."""
    chosen = []
    for annotation in split.by_image[image.id]:
        if annotation.crowd:
            continue
        where = f"{split.path(image)}: annotation {annotation.id}"
        if annotation.category_id not in labels:
            raise DataError(f"{where}: there is no category with id {annotation.category_id}")
        if masks and annotation.segmentation is None:
            raise DataError(f"{where} has no segmentation; train without masks, or leave it out")
        left, top, width, height = annotation.box
        right, bottom = min(left + width, image.width), min(top + height, image.height)
        left, top = max(left, 0.0), max(top, 0.0)
        if not (right > left and bottom > top):
            raise DataError(f"{where}: the box has no area inside the image")
        chosen.append(annotation._replace(box=(left, top, right - left, bottom - top)))
    return chosen


def _measures(target: Target) -> Target:
    """What is known only after augmentation."""
    boxes = target["boxes"]
    sides = boxes[:, 2:] - boxes[:, :2]
    area = target["masks"].flatten(1).sum(1).float() if "masks" in target else sides.prod(1)
    return {"area": area, "iscrowd": torch.zeros(len(boxes), dtype=torch.int64)}


def collate(samples: Sequence[Sample]) -> Batch:
    """Lists, since images differ in size."""
    return [image for image, _ in samples], [target for _, target in samples]


def training_loader(
    dataset: DetectionDataset, batches: GroupedBatches, workers: int = 0
) -> DataLoader[Sample]:
    """A loader of `batches`; it may be iterated once for every `batches.start`."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(dataset.seed),
    )
