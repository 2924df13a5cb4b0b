"""The images of a task in three splits, and the order in which a training sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from nars.data.pictures import Fit
from nars.data.splits import ImageSize, Split
from nars.foreign.parts import Part

__all__ = ["ImageData", "evenly", "in_groups", "in_order", "shuffled"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """A classification data set. A search sees `train` and `val`; `test` is for its report."""

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    fingerprint: str
    """Hex digest of classes, labels and contents; equal data have equal digests."""
    earlier_fingerprints: tuple[str, ...] = ()
    """Digests by older versions, which for folders of images covered only names and sizes of the files."""
    dropped: tuple[str, ...] = ()
    """One line about each image that could not be read and was left out, as asked."""
    parts: tuple[Part, ...] = ()
    """How each split was read, and what was passed over."""
    normalization: tuple[Tensor, Tensor] | None = None
    """Mean [3] and deviation [3], in 0..1, that take the place of the training images' own."""

    def normalized(self, mean: Tensor, std: Tensor) -> ImageData:
        """The same data, to be normalized by another mean [3] and deviation [3], in 0..1."""
        return replace(self, normalization=(mean, std))

    def fitted(self, fit: Fit) -> ImageData:
        """The same data, normalized as before, with pictures made square in the way `fit`.

        Images that are squares already, such as those of arrays, stay as they are.
        """
        splits = [split.fitted(fit) for split in (self.train, self.val, self.test)]
        if splits == [self.train, self.val, self.test]:
            return self
        train, val, test = splits
        moments = self.normalization or self._moments
        return replace(self, train=train, val=val, test=test, normalization=moments)

    def split(self, name: str) -> Split:
        splits = {"train": self.train, "val": self.val, "test": self.test}
        assert name in splits, name
        return splits[name]

    @property
    def size(self) -> ImageSize:
        """The size of the training images."""
        return self.train.size

    @property
    def mean(self) -> Tensor:
        """Mean [3] of the training images, in 0..1, unless the data are `normalized` by another."""
        return (self.normalization or self._moments)[0]

    @property
    def std(self) -> Tensor:
        """Standard deviation [3] of the training images, in 0..1, at least one grey level; likewise."""
        return (self.normalization or self._moments)[1]

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        pixels = self.train.sample()
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, stds = [], []
        for channel in range(pixels.shape[1]):
            parts = (part[:, channel].flatten() for part in pixels.split(1024))
            counts = torch.stack([torch.bincount(part, minlength=256) for part in parts])
            share = counts.sum(0).double()
            share /= share.sum()
            mean = (share * levels).sum()
            means.append(mean)
            stds.append((share * (levels - mean) ** 2).sum().sqrt().clamp_min(1 / 255))
        return torch.stack(means).float().expand(3), torch.stack(stds).float().expand(3)

    def summary(self) -> dict[str, Any]:
        """Facts to print, as plain values."""
        splits = {}
        for name in ("train", "val", "test"):
            split = self.split(name)
            counts = torch.bincount(split.labels, minlength=len(self.classes)).tolist()
            per_class = dict(zip(self.classes, counts, strict=True))
            splits[name] = {"images": len(split), "per_class": per_class} | split.summary()
        return {
            "name": self.name,
            "classes": list(self.classes),
            "splits": splits,
            "mean": [round(value, 4) for value in self.mean.tolist()],
            "std": [round(value, 4) for value in self.std.tolist()],
            "parts": [part.row() for part in self.parts],
            "dropped": list(self.dropped),
            "fingerprint": self.fingerprint,
        }


def in_order(count: int, batch_size: int) -> tuple[Tensor, ...]:
    """Image numbers 0..count-1 in groups of at most `batch_size`."""
    return torch.split(torch.arange(count), batch_size)


def evenly(count: int, most: int) -> Tensor:
    """At most `most` of the image numbers 0..count-1, evenly spread over them."""
    return torch.linspace(0, count - 1, min(count, most)).long()


def in_groups(numbers: Tensor, batch_size: int) -> tuple[Tensor, ...]:
    """Numbers in groups of at most `batch_size` whose sizes differ by at most 1.

    Even sizes avoid a last batch of one image, which no batch norm can train on.
    """
    return torch.tensor_split(numbers, math.ceil(len(numbers) / batch_size))


def shuffled(count: int, batch_size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Image numbers 0..count-1 in random order, in groups as `in_groups` makes them."""
    return in_groups(torch.randperm(count, generator=generator), batch_size)
