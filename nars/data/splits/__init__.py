"""Images of one split in whole batches, held in memory or read from disk."""

from __future__ import annotations

from nars.data.splits.base import ImageSize, Split
from nars.data.splits.disk import DiskSplit
from nars.data.splits.memory import MEMORY_LIMIT, MemorySplit

__all__ = ["MEMORY_LIMIT", "DiskSplit", "ImageSize", "MemorySplit", "Split"]
