"""Networks whose batches are shared among processes, with the outputs and gradients of one process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from nars.device import seeded
from nars.errors import UsageError
from nars.parallel.processes import own, rank, world_size, wrapped

__all__ = ["check_batch", "drawn", "share", "shared", "spread"]

_Function = Callable[[Tensor], Tensor]


def check_batch(images: int) -> None:
    """Raise `UsageError` if batches of so many images leave a process without one."""
    if images < world_size():
        raise UsageError(f"batches of {images} images cannot be shared by {world_size()} processes")


def drawn(rows: int, columns: int, device: torch.device) -> Tensor:
    """Draw numbers [rows, columns] in 0..1: this process's share of those of one process with all rows.

    PyTorch's global generators of all processes have to be in the same state, and are afterwards.
    """
    return share(torch.rand(rows * world_size(), columns, device=device))


def shared(network: nn.Module, device: torch.device) -> _Function:
    """Return a function that passes a batch through `network`; each process passes its share of the images.

    Every process calls it with the same images [N, ...] and gets all outputs [N, K]. Gradients of a function
    of them, which every process computes, are those of one process, but for rounding and for the numbers that
    dropout and stochastic depth draw. Batch norms have to be `synchronized`. Without other
    processes it is `network`.
    """
    return network if world_size() == 1 else _Shared(network, device)


def spread(function: _Function) -> _Function:
    """Return a function with the same result, which each process computes for its share of the rows."""
    if world_size() == 1:
        return function
    return lambda images: _joined(function(share(images)), len(images))


class _Shared:
    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network, self._device = wrapped(network, device), device
        drops = (part for part in network.modules() if isinstance(part, nn.Dropout | StochasticDepth))
        self._draws = any(part.p > 0 for part in drops)

    def __call__(self, images: Tensor) -> Tensor:
        with self._own_draws():
            return _joined(self._network(share(images)), len(images))

    def _own_draws(self) -> Any:
        """Let processes draw different numbers within a block, and the same ones after it."""
        if not self._draws:
            return nullcontext()
        return seeded(int(torch.randint(2**48, ())) + rank(), self._device)


def share(images: Tensor) -> Tensor:
    """Return this process's share of the rows of a batch."""
    return cast(Tensor, own(images))  # type: ignore[arg-type]


def _joined(outputs: Tensor, count: int) -> Tensor:
    """The outputs [N, K] of all processes, each of which has its share of the rows."""
    return cast(Tensor, _Joined.apply(outputs, count))


class _Joined(torch.autograd.Function):
    """Joins the rows of all processes; each gets the gradient of its own.

    The gradients of weights are averaged over the processes later, so they are made as many times larger.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, count: int) -> Tensor:
        joined = outputs.new_zeros(count, *outputs.shape[1:])
        joined[rank() :: world_size()] = outputs
        dist.all_reduce(joined)
        return joined

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][rank() :: world_size()] * world_size(), None
