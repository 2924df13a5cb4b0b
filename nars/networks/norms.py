"""The normalization layers of networks, each by its name.

All keep the channel count; eps and the momentum of running statistics are those of the architecture.
`naive_sync_bn` and `naive_sync_bn_weighted` average batch statistics over the workers of a
distributed training with one small differentiable all-reduce, on CPU (gloo) as on CUDA (nccl).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast, get_args

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from nars.errors import UsageError, closest
from nars.spec import Norm

__all__ = ["NaiveSyncBatchNorm2d", "Norm", "NormLayer", "norm", "norm_layer"]

NormLayer = Callable[[int], nn.Module]
"""Makes the norm of a map of so many channels."""

_EPS = 1e-5
"""Added to every variance, unless an architecture says otherwise."""

_MOMENTUM = 0.1
"""Weight of a new batch in the running statistics, unless an architecture says otherwise."""

_MOST_GROUPS = 32
"""Most groups of a group norm. Source: "Group Normalization" (Wu, He 2018)."""

_LEAST_PER_GROUP = 4
"""Fewest channels in a group."""


def norm_layer(kind: Norm, eps: float = _EPS, momentum: float = _MOMENTUM) -> NormLayer:
    """Return what makes the normalization layers `kind` of a network; see `norm`."""
    return partial(norm, kind, eps=eps, momentum=momentum)


def norm(kind: Norm, channels: int, eps: float = _EPS, momentum: float = _MOMENTUM) -> nn.Module:
    """The normalization layer `kind` for maps [N, channels, H, W].

    - ``bn``: statistics of this worker's batch.
    - ``gn``: group statistics of each image alone; for tiny batches.
    - ``sync_bn``: statistics of all workers' pixels; torch trains it on CUDA only.
    - ``naive_sync_bn``: every worker's statistics count the same.
    - ``naive_sync_bn_weighted``: they count by the worker's batch size.
    - ``frozen_bn``: constants, as loaded from a checkpoint of a batch norm.

    Raises `UsageError` for another name.
    """
    match kind:
        case "bn":
            return nn.BatchNorm2d(channels, eps, momentum)
        case "gn":
            return nn.GroupNorm(group_count(channels), channels, eps)
        case "sync_bn":
            return nn.SyncBatchNorm(channels, eps, momentum)
        case "naive_sync_bn":
            return NaiveSyncBatchNorm2d(channels, eps=eps, momentum=momentum)
        case "naive_sync_bn_weighted":
            return NaiveSyncBatchNorm2d(channels, weighted=True, eps=eps, momentum=momentum)
        case "frozen_bn":
            return cast(nn.Module, FrozenBatchNorm2d(channels, eps))
        case _:
            raise UsageError(f"no norm is called {kind!r}: {closest(str(kind), get_args(Norm))}")


def group_count(channels: int) -> int:
    """The most groups that divide `channels`, at most 32 and of at least 4 channels each.

    Groups of fewer channels would erase the content of a map that is pooled to one pixel.
    """
    most = max(1, min(_MOST_GROUPS, channels // _LEAST_PER_GROUP))
    return next(groups for groups in range(most, 0, -1) if channels % groups == 0)


class NaiveSyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose training statistics are averaged over all workers.

    With equal batches everywhere it is batch norm of the joined batch. With unequal ones a
    worker counts once, or by its batch size if `weighted`; one with an empty batch does not count,
    but takes part. Without other workers, and in evaluation, it is plain batch norm.
    """

    momentum: float

    def __init__(
        self, channels: int, weighted: bool = False, eps: float = _EPS, momentum: float = _MOMENTUM
    ) -> None:
        super().__init__(channels, eps, momentum)
        self.weighted = weighted

    def forward(self, input: Tensor) -> Tensor:
        if torch.jit.is_scripting():  # it supports neither super() nor other workers
            return F.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                self.training,
                self.momentum,
                self.eps,
            )
        else:  # noqa: RET505  the scripting compiler skips an else, not what follows a return
            if self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
                return self._synchronized(input)
            return super().forward(input)

    def _synchronized(self, input: Tensor) -> Tensor:
        pixels = input.to(torch.promote_types(input.dtype, torch.float32))  # [N, C, H, W]
        mean, var, total = self._joined_moments(pixels)
        self._track(mean.detach(), var.detach(), total)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        return (pixels * scale[:, None, None] + shift[:, None, None]).to(input.dtype)

    def _joined_moments(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean [C] and biased variance [C] over the workers, and the count [1] of joined pixels."""
        batch, channels = pixels.shape[:2]
        weight = batch if self.weighted else min(batch, 1)
        if batch:
            var, mean = torch.var_mean(pixels, dim=(0, 2, 3), correction=0)
        else:  # zeros that keep the gradient's all-reduce alive on this worker
            var = mean = pixels.sum(dim=(0, 2, 3))
        sizes = pixels.new_tensor([weight, pixels.numel() // channels])
        moments = torch.cat([mean * weight, (var + mean * mean) * weight, sizes])
        means, squares, weights, total = cast(Tensor, _SumOverWorkers.apply(moments)).split(
            [channels, channels, 1, 1]
        )
        weights = weights.clamp(min=1)  # 0 only if every batch is empty
        mean = means / weights
        return mean, (squares / weights - mean * mean).clamp(min=0), total

    def _track(self, mean: Tensor, var: Tensor, total: Tensor) -> None:
        running = self.running_mean, self.running_var, self.num_batches_tracked
        running_mean, running_var, batches = cast("tuple[Tensor, Tensor, Tensor]", running)
        step = self.momentum * total.clamp(max=1)  # no step if every batch is empty
        running_mean.lerp_(mean.to(running_mean.dtype), step.to(running_mean.dtype))
        unbiased = var * total / (total - 1).clamp(min=1)
        running_var.lerp_(unbiased.to(running_var.dtype), step.to(running_var.dtype))
        batches.add_(1)


class _SumOverWorkers(torch.autograd.Function):
    """The sum of a tensor over the workers; its gradient is summed, too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _all_reduce(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _all_reduce(gradients[0])


def _all_reduce(tensor: Tensor) -> Tensor:
    tensor = tensor.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(tensor)
    return tensor
