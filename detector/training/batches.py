"""Chooses the images of each training step: shuffled, grouped by shape, the same after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from nars.errors import UsageError

__all__ = ["GroupedBatches", "SampleIndex"]


class SampleIndex(NamedTuple):
    """The key of a sample in the data set; the epoch decides how the image is augmented."""

    epoch: int
    image: int


class GroupedBatches(Sampler[list[SampleIndex]]):
    """Batches of either wide or tall images, so padding is small, in a new order every epoch.

    Every image is seen once in an epoch; the images that both groups leave over make mixed
    batches. Batches depend only on seed and epoch, so a training can continue where it stopped:
    call `start(epoch, position)`, then iterate. The training counts the position by its own
    steps, because the loader's workers are ahead of it.

    Ranks share the batches of one process. (A last batch that they cannot share evenly repeats some images.)
    """

    def __init__(
        self,
        aspect_ratios: Sequence[float],
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Raises `UsageError` if the ranks cannot share batches of `batch_size` images evenly."""
        assert batch_size >= 1, batch_size
        assert 0 <= rank < world_size, (rank, world_size)
        if batch_size % world_size:
            raise UsageError(
                f"batches of {batch_size} images cannot be shared evenly by {world_size} processes: "
                f"set batch_size to a multiple of {world_size}"
            )
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.position = 0
        self._wide = np.asarray(aspect_ratios, dtype=np.float64) >= 1

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the same number on every rank."""
        return -(-len(self._wide) // self.batch_size)

    def start(self, epoch: int, position: int = 0) -> None:
        """Let the next iteration begin at a batch of an epoch; both count from 0."""
        self.epoch, self.position = epoch, position

    def batches(self, epoch: int) -> list[list[int]]:
        """Return this rank's image indices for every step of an epoch."""
        shares = [batch[self.rank :: self.world_size] for batch in self._whole_batches(epoch)]
        return [share.tolist() for share in shares]

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        epoch = self.epoch
        for batch in self.batches(epoch)[self.position :]:
            yield [SampleIndex(epoch, index) for index in batch]

    def __len__(self) -> int:
        """How many batches of the epoch are still to come."""
        return max(0, self.steps_per_epoch - self.position)

    def _whole_batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the batches of an epoch for all ranks together."""
        size = self.batch_size
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self._wide))
        batches, leftovers = [], []
        for wide in (True, False):
            group = order[self._wide[order] == wide]
            full = len(group) // size * size
            batches += [group[start : start + size] for start in range(0, full, size)]
            leftovers.append(group[full:])
        rest = np.concatenate(leftovers)
        batches += [rest[start : start + size] for start in range(0, len(rest), size)]
        if batches:
            even = -(-len(batches[-1]) // self.world_size) * self.world_size
            batches[-1] = np.resize(batches[-1], even)  # repeats the first images
        return [batches[number] for number in rng.permutation(len(batches))]
