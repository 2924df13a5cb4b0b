"""Typed records of a detection data set, the same for every file format.

A `CocoData` has two `Subset`s, train and val; a subset has images, annotations and
categories. Records are named tuples, so 118 000 images with 860 000 boxes are read in
seconds. (`fingerprint` digests their `repr`: renaming a field would disown checkpoints.)
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nars.foreign.parts import Part

__all__ = [
    "Annotation",
    "Category",
    "CocoData",
    "ImageRecord",
    "Segmentation",
    "Subset",
    "divide",
]

Segmentation = list[list[float]] | dict[str, Any]
"""Polygons (x, y, x, y, ... in pixels), or a run-length code with ``size`` and ``counts``."""


class ImageRecord(NamedTuple):
    """One image: `file` is relative to the subset's `root`; width and height are 0 if not stated."""

    id: int
    file: str
    width: int
    height: int


class Annotation(NamedTuple):
    """One object: `box` is left, top, width, height in pixels, `area` is in square pixels.

    `crowd` marks a region of many objects, which is not trained on and ignored in evaluation.
    """

    id: int
    image_id: int
    category_id: int
    box: tuple[float, float, float, float]
    area: float
    crowd: bool = False
    segmentation: Segmentation | None = None


class Category(NamedTuple):
    """One class of objects, with the group that it belongs to."""

    id: int
    name: str
    supercategory: str = ""


@dataclass(frozen=True, eq=False)
class Subset:
    """The training or the validation records of a data set."""

    name: str
    """``train`` or ``val``, the name of the split."""
    source: Path
    """The file, or the folder, that the annotations came from."""
    root: Path
    """The folder that image files are relative to."""
    images: tuple[ImageRecord, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    categories: tuple[Category, ...] = ()
    pixels: Mapping[int, NDArray[np.uint8]] | None = None
    """RGB images uint8 [H, W, 3] by id, if the data set was made in memory."""
    layout: str = ""
    """The format that the part is taken for, and the file or folder that says so."""
    notes: tuple[str, ...] = ()
    """Ways in which the records are not as the files have them."""
    passed: Mapping[str, int] = field(default_factory=dict)
    """Counts of files that were passed over, by suffix or reason."""
    image_ids: Mapping[int, str] = field(default_factory=dict)
    """The ids of images that are texts in the files, by the numbers that stand for them."""
    category_ids: Mapping[int, str] = field(default_factory=dict)
    """The same of categories."""

    def path(self, image: ImageRecord) -> Path:
        """Return the path of an image's file."""
        return self.root / image.file

    @cached_property
    def by_image(self) -> dict[int, list[Annotation]]:
        """The annotations of every image id; an image without any has an empty list."""
        groups: dict[int, list[Annotation]] = {image.id: [] for image in self.images}
        for annotation in self.annotations:
            if annotation.image_id in groups:
                groups[annotation.image_id].append(annotation)
        return groups

    def only(self, images: Iterable[ImageRecord]) -> Subset:
        """The subset with no more than these images of it, in their order, and their annotations."""
        chosen = tuple(images)
        ids = {image.id for image in chosen}
        boxes = tuple(annotation for annotation in self.annotations if annotation.image_id in ids)
        return replace(self, images=chosen, annotations=boxes)


@dataclass(frozen=True, eq=False)
class CocoData:
    """A detection data set: what is trained on, and what it is measured on."""

    train: Subset
    val: Subset
    test: Subset | None = None
    """A part that is left alone, if there is one."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """A description of each part that was read."""
        parts = []
        for subset in (*self.subsets, self.test):
            if subset is not None and (subset.images or subset.layout):
                notes = subset.notes
                if subset is self.test:
                    notes = (*notes, "left alone (to measure on it: --split test)")
                counts = len(subset.images), len(subset.annotations)
                name = "test" if subset is self.test else subset.name
                parts.append(
                    Part(name, counts[0], self.classes, subset.layout, counts[1], notes, subset.passed)
                )
        return tuple(parts)

    @property
    def subsets(self) -> tuple[Subset, Subset]:
        """Train and val."""
        return self.train, self.val

    def subset(self, split: str) -> Subset:
        """Return the records of a split by its name, ``train`` or ``val``."""
        return {"train": self.train, "val": self.val}[split]

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        """The categories of both splits, sorted by id, without those that only name a group.

        A category names a group if it has no annotation and is the supercategory of another.
        (Roboflow's exports put such a category, with id 0, before the classes; the only class may have
        its name.)
        """
        listed = [category for subset in self.subsets for category in reversed(subset.categories)]
        by_id = {category.id: category for category in listed}
        used = {annotation.category_id for subset in self.subsets for annotation in subset.annotations}
        members: dict[str, set[int]] = defaultdict(set)
        for category in listed:
            members[category.supercategory].add(category.id)
        return tuple(by_id[id] for id in sorted(by_id) if id in used or not members[by_id[id].name] - {id})

    def narrowed(self, train: Subset) -> CocoData:
        """The same data, classes included, with fewer training images."""
        kept = tuple(category._replace(supercategory="") for category in self.categories)  # none is a group
        val = replace(self.val, categories=kept)
        return replace(self, train=replace(train, categories=kept), val=val)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the labels; the name of label k is at k - 1."""
        return tuple(category.name for category in self.categories)

    @cached_property
    def labels(self) -> dict[int, int]:
        """The label 1..K of every category id."""
        return {category.id: label for label, category in enumerate(self.categories, start=1)}


def divide(subset: Subset, fraction: float = 0.2) -> CocoData:
    """Set a fraction of the images aside for validation, at least one if there are two or more.

    The choice depends only on hashes of the file names: it is the same on every machine, and
    an image that is added later moves few others.
    """

    def order(image: ImageRecord) -> bytes:
        name = image.file.encode(errors="surrogateescape")  # of names in other encodings than UTF-8
        return hashlib.blake2b(name, digest_size=8).digest()

    ranked = sorted(subset.images, key=order)
    count = max(round(len(ranked) * fraction), 1 if len(ranked) > 1 else 0)
    held_out = {image.id for image in ranked[:count]}

    def part(name: str, *, validates: bool) -> Subset:
        chosen = subset.only(image for image in subset.images if (image.id in held_out) == validates)
        return replace(
            chosen, name=name, notes=(*subset.notes, "a fifth is set aside for val, since there is none")
        )

    return CocoData(part("train", validates=False), part("val", validates=True))
