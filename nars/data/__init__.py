"""Images and labels of a classification task, from several kinds of source.

`load` picks the source by its name and returns an `ImageData`, which trainings and evaluations use.
"""

from __future__ import annotations

from nars.data.augment import augment, normalise
from nars.data.balance import balanced, class_weights
from nars.data.crops import random_crops
from nars.data.images import ImageData, evenly, in_order, shuffled
from nars.data.pictures import Fit, Picture, read_rgb, square
from nars.data.sources import load
from nars.data.splits import DiskSplit, ImageSize, MemorySplit, Split

__all__ = [
    "DiskSplit",
    "Fit",
    "ImageData",
    "ImageSize",
    "MemorySplit",
    "Picture",
    "Split",
    "augment",
    "balanced",
    "class_weights",
    "evenly",
    "in_order",
    "load",
    "normalise",
    "random_crops",
    "read_rgb",
    "shuffled",
    "square",
]
