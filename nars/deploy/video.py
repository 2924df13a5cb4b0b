"""Reads frames of video files, by PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nars.errors import DataError, UsageError

__all__ = ["SUFFIXES", "frames"]

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})
"""Suffixes of the files that are read as videos."""


def frames(path: Path, every: int = 1) -> Iterator[tuple[int, Tensor]]:
    """Yield one frame in `every` as (number from 0, uint8 RGB [3, H, W]), turned as a player shows it.

    Raises `UsageError` if PyAV is not installed, and `DataError` for a file that is not a video
    or is damaged.
    """
    try:
        av = import_module("av")
    except ImportError:
        raise UsageError(f"{path}: videos need PyAV: pip install nars[video]") from None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path}: no video in it")
            for number, frame in enumerate(container.decode(video=0)):
                if number % every == 0:
                    turned = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
                    yield number, torch.from_numpy(np.ascontiguousarray(turned.transpose(2, 0, 1)))
    except (av.error.FFmpegError, OSError) as error:
        raise DataError(f"{path}: not a video that can be read: {error.strerror}") from None
