"""A torch data set of training samples in the form that torchvision's detectors take, and its loader.

A sample is a function of seed, epoch and index, so it is the same for any number of workers, and
after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from detector.data import images
from detector.data.masks import decode
from detector.data.records import Annotation, CocoData, ImageRecord, Segmentation, Subset
from detector.model.resizing import resized
from detector.model.targets import Target
from detector.training.augment import Augmentation, Sample, mosaic, pipeline
from detector.training.batches import GroupedBatches, SampleIndex
from nars.errors import DataError

__all__ = ["Batch", "DetectionDataset", "collate", "training_loader"]

Batch = tuple[list[Tensor], list[Target]]
"""Images [3, H, W] of different sizes, and their targets."""


class DetectionDataset(Dataset[Sample]):
    """Resized images as float RGB [3, H, W] in 0..1, with these targets:

    - ``boxes`` float32 [N, 4]: left, top, right, bottom in pixels of the resized image
    - ``labels`` int64 [N]: 1..K
    - ``masks`` uint8 [N, H, W], if asked for
    - ``area`` float32 [N], of the masks if there are any, else of the boxes
    - ``iscrowd`` int64 [N], all 0
    - ``image_id`` int64 []
    - ``size`` int64 [2]: height and width of the original image

    Crowds are left out; an image without boxes is background, with N = 0. The records should
    come from `detector.data.check.usable`; others raise `DataError`. Reading a sample raises
    `DataError` that names a file which cannot be read.
    """

    def __init__(
        self,
        subset: Subset,
        labels: Mapping[int, int],
        settings: Augmentation,
        masks: bool = False,
        seed: int = 0,
    ) -> None:
        self.settings = settings
        self.masks = masks
        self.seed = seed
        self._pipeline = pipeline(settings)
        # Arrays instead of one record per box, because worker processes share them without copies.
        self._subset = replace(subset, annotations=())
        by_image = [_usable_annotations(subset, image, labels, masks) for image in subset.images]
        counts = [len(annotations) for annotations in by_image]
        flat = [annotation for annotations in by_image for annotation in annotations]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._labels = torch.tensor(
            [labels[annotation.category_id] for annotation in flat], dtype=torch.int64
        )
        self._boxes = torch.tensor([annotation.box for annotation in flat], dtype=torch.float32).reshape(
            -1, 4
        )
        self._boxes[:, 2:] += self._boxes[:, :2]
        self._segmentations: list[Segmentation | None] = []
        if masks:
            self._segmentations = [annotation.segmentation for annotation in flat]

    @classmethod
    def training(
        cls, data: CocoData, settings: Augmentation, masks: bool = False, seed: int = 0
    ) -> DetectionDataset:
        """Return the data set of the training images of `data`."""
        return cls(data.train, data.labels, settings, masks, seed)

    @property
    def aspect_ratios(self) -> list[float]:
        """Width over height of every image, for `GroupedBatches`."""
        return [image.width / image.height for image in self._subset.images]

    @property
    def most_objects(self) -> int:
        """The most objects in a sample; a mosaic has those of four images."""
        most = int(np.diff(self._starts).max(initial=0))
        return 4 * most if self.settings.mosaic else most

    @property
    def training_sizes(self) -> list[tuple[int, int]]:
        """Height and width of every image at the largest of the training sizes, without jitter."""
        shortest, longest = max(self.settings.shortest), self.settings.longest
        return [resized(image.height, image.width, shortest, longest) for image in self._subset.images]

    def at_training_size(self, index: int) -> Sample:
        """Return a sample at its training size, not augmented: uint8 RGB, ``boxes`` and ``labels``."""
        image, target = self._raw(index)
        shortest, longest = max(self.settings.shortest), self.settings.longest
        size = list(resized(image.shape[-2], image.shape[-1], shortest, longest))
        boxes = F.resize(target["boxes"], size).as_subclass(Tensor)
        resized_image = F.resize(image, size, antialias=True).as_subclass(Tensor)
        return resized_image, {"boxes": boxes, "labels": target["labels"]}

    def file(self, index: int) -> Path:
        """Return the file of a sample, for messages."""
        return self._subset.path(self._subset.images[index])

    def __len__(self) -> int:
        return len(self._subset.images)

    def __getitem__(self, key: SampleIndex | int) -> Sample:
        """Return a sample of an epoch; a plain index means epoch 0."""
        epoch, index = key if isinstance(key, SampleIndex) else (0, key)
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
        """Return the sample as stored: uint8, in its original size, as tv_tensors."""
        record = self._subset.images[index]
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
        return tv_tensors.Image(images.load(self._subset, record)), target


def _usable_annotations(
    subset: Subset, image: ImageRecord, labels: Mapping[int, int], masks: bool
) -> list[Annotation]:
    """Return the annotations of an image to train on, with boxes clipped to the image."""
    annotations = []
    for annotation in subset.by_image[image.id]:
        if annotation.crowd:
            continue
        where = f"{subset.path(image)}: annotation {annotation.id}"
        if annotation.category_id not in labels:
            raise DataError(f"{where}: there is no category with id {annotation.category_id}")
        if masks and annotation.segmentation is None:
            raise DataError(f"{where} has no segmentation; train without masks, or leave it out")
        left, top, width, height = annotation.box
        right, bottom = min(left + width, image.width), min(top + height, image.height)
        left, top = max(left, 0.0), max(top, 0.0)
        if not (right > left and bottom > top):
            raise DataError(f"{where}: the box has no area inside the image")
        annotations.append(annotation._replace(box=(left, top, right - left, bottom - top)))
    return annotations


def _measures(target: Target) -> Target:
    """Return the entries of a target that are known only after augmentation."""
    boxes = target["boxes"]
    sides = boxes[:, 2:] - boxes[:, :2]
    area = target["masks"].flatten(1).sum(1).float() if "masks" in target else sides.prod(1)
    return {"area": area, "iscrowd": torch.zeros(len(boxes), dtype=torch.int64)}


def collate(samples: Sequence[Sample]) -> Batch:
    """Make a batch of lists, because images differ in size."""
    return [image for image, _ in samples], [target for _, target in samples]


def training_loader(
    dataset: DetectionDataset, batches: GroupedBatches, workers: int = 0
) -> DataLoader[Sample]:
    """Return a loader of `batches`, to be iterated once after every `batches.start`."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(dataset.seed),
    )
