"""One process, or several that ``torchrun`` started: ranks, shared gradients, gathered results."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nars.device import resolve

__all__ = ["gathered", "is_first", "joined", "rank", "world_size", "wrap"]

_Item = TypeVar("_Item")


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes files and messages."""
    return rank() == 0


@contextmanager
def joined(device: str | torch.device) -> Iterator[torch.device]:
    """Join the other processes if ``torchrun`` started this one; yield the device of this process.

    Processes communicate by NCCL on CUDA, with one GPU each, and by gloo on CPUs. Raises
    `UsageError` for a device that does not exist.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield resolve(device)
        return
    own_device = resolve(device)
    if own_device.type == "cuda":
        own_device = resolve(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(own_device)
    dist.init_process_group("nccl" if own_device.type == "cuda" else "gloo")
    try:
        yield own_device
    finally:
        dist.destroy_process_group()


def wrap(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a module that averages gradients over all processes; `model` itself if there is only one."""
    if world_size() == 1:
        return model
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def gathered(items: list[_Item]) -> list[_Item]:
    """Return the items of all processes, in the order of their ranks, in every process."""
    if world_size() == 1:
        return items
    by_rank: list[list[_Item]] = [[] for _ in range(world_size())]
    dist.all_gather_object(by_rank, items)
    return [item for rank_items in by_rank for item in rank_items]
