"""One process, or several that ``torchrun`` started: ranks, gathered results, what all agree on."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nars.device import resolve
from nars.errors import RunError
from nars.parallel.launcher import end_with

__all__ = [
    "agreed",
    "alone",
    "check_same",
    "collected",
    "gathered",
    "is_first",
    "joined",
    "largest",
    "mean",
    "own",
    "rank",
    "world_size",
    "wrapped",
]

_Item = TypeVar("_Item")


_is_alone: ContextVar[bool] = ContextVar("is_alone", default=False)


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def world_size() -> int:
    """Return how many processes there are."""
    return 1 if _is_alone.get() or not dist.is_initialized() else dist.get_world_size()


@contextmanager
def alone() -> Iterator[None]:
    """Let this process do within a block what it would do without others, such as what all do alike."""
    token = _is_alone.set(True)
    try:
        yield
    finally:
        _is_alone.reset(token)


def is_first() -> bool:
    """Whether this process is the one that writes files and messages."""
    return rank() == 0


@contextmanager
def joined(device: str | torch.device) -> Iterator[torch.device]:
    """Join the other processes if ``torchrun`` started this one; yield the device of this process.

    Processes communicate by NCCL on CUDA, with one GPU each, and by gloo on CPUs, and end with ``torchrun``,
    however it ends. Raises `UsageError` for a device that does not exist.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield resolve(device)
        return
    end_with(os.getppid())
    own_device = resolve(device)
    if own_device.type == "cuda":
        own_device = resolve(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(own_device)
    dist.init_process_group("nccl" if own_device.type == "cuda" else "gloo")
    try:
        yield own_device
    finally:
        dist.destroy_process_group()


def wrapped(network: nn.Module, device: torch.device) -> nn.Module:
    """Return a module that averages gradients over all processes; `network` itself if there is only one."""
    if world_size() == 1:
        return network
    ids = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=ids)


def own(items: Sequence[_Item]) -> Sequence[_Item]:
    """Return this process's share of items, or of the rows of a tensor: every so-many-th."""
    return items[rank() :: world_size()]


def gathered(items: list[_Item]) -> list[_Item]:
    """Return the items of all processes, in the order of their ranks, in every process."""
    if world_size() == 1:
        return items
    return [item for items_of in _by_rank(items) for item in items_of]


def collected(tensors: list[Tensor], device: torch.device) -> list[Tensor]:
    """Return the tensors that processes made of their `own` items, in the order before they were shared."""
    if world_size() == 1:
        return tensors
    by_rank = _by_rank([tensor.cpu() for tensor in tensors])  # on a GPU they would go to that of the sender
    longest = max(map(len, by_rank))
    return [row[place].to(device) for place in range(longest) for row in by_rank if place < len(row)]


def largest(numbers: Sequence[int], device: torch.device) -> list[int]:
    """Return the largest of each of the numbers over all processes."""
    if world_size() == 1:
        return list(numbers)
    tensor = torch.tensor(numbers, device=device)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return [int(number) for number in tensor.tolist()]


def mean(values: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes, without a gradient."""
    if world_size() == 1:
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


def agreed(value: _Item) -> _Item:
    """Return the value of the first process, in every process."""
    if world_size() == 1:
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box)
    result: _Item = box[0]
    return result


def check_same(identity: Mapping[str, Any]) -> None:
    """Raise `RunError` unless all processes train the same: network, data, recipe."""
    everyone = gathered([(socket.gethostname(), dict(identity))])
    first_host, first = everyone[0]
    for number, (host, other) in enumerate(everyone):
        different = next((key for key in first if first[key] != other[key]), None)
        if different is not None:
            both = f"process 0 on {first_host} and process {number} on {host}"
            raise RunError(f"{both} have another {different}: give all processes the same files and options")


def _by_rank(items: list[_Item]) -> list[list[_Item]]:
    by_rank: list[list[_Item]] = [[] for _ in range(world_size())]
    dist.all_gather_object(by_rank, items)
    return by_rank
