"""Folds of a detection data set's training images: its val images stay unseen until a table is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from detector.data.check import usable
from detector.data.records import CocoData

__all__ = ["SETS", "fold_of", "training_images"]

SETS = ("raccoon", "bccd")
"""Folders below ``det/`` of the data root, in COCO's format."""

_FOLDS, _SEED = 3, 0
"""Parts of the training images, each held out once, and the seed of their order."""


def training_images(root: Path, name: str) -> CocoData:
    """The data set `name` below a data root. Raises `DataError`."""
    return usable(root / "det" / name, drop_bad=True)


def fold_of(data: CocoData, fold: int, images: int | None = None) -> CocoData:
    """Training images as data of their own: a third to measure on, the first `images` others to learn from.

    The records of val are left out, so that nothing can look at them.
    """
    order = np.random.default_rng(_SEED).permutation(len(data.train.images))
    held_out = order[fold::_FOLDS]
    others = order[~np.isin(order, held_out)][:images]
    chosen = [[data.train.images[index] for index in sorted(part)] for part in (others, held_out)]
    train, val = map(data.train.only, chosen)
    return CocoData(train, replace(val, name="val"))
