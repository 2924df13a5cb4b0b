"""One process or several, as ``torchrun`` starts them: rank, size, and what they exchange."""

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

T = TypeVar("T")


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process writes the files and speaks."""
    return rank() == 0


@contextmanager
def joined(device: str | torch.device) -> Iterator[torch.device]:
    """Join the other processes where ``torchrun`` started this one; yields the process's device.

    Processes talk by NCCL on CUDA, one GPU each, and by gloo on CPUs. Raises `UsageError`.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield resolve(device)
        return
    place = resolve(device)
    if place.type == "cuda":
        place = resolve(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield place
    finally:
        dist.destroy_process_group()


def wrap(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` with gradients averaged over all processes; itself where there is only one."""
    if world_size() == 1:
        return model
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def gathered(items: list[T]) -> list[T]:
    """The items of all processes, in the order of their ranks, in every process."""
    if world_size() == 1:
        return items
    parts: list[list[T]] = [[] for _ in range(world_size())]
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]
