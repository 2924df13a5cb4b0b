"""Batch norm over the batches of all processes of a training.

Statistics are averaged with one small differentiable all-reduce, on CPU (gloo) as on CUDA (nccl).
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from nars.parallel.processes import world_size

__all__ = ["NaiveSyncBatchNorm2d", "synchronized"]


def synchronized(network: nn.Module) -> nn.Module:
    """Let plain batch norms of a network take the statistics of all processes' images, in place.

    Parameters and buffers stay the same objects. Without other processes nothing changes.
    """
    if world_size() == 1:
        return network
    for name, child in network.named_children():
        setattr(network, name, synchronized(child))
    return _synchronized(network) if type(network) is nn.BatchNorm2d else network


def _synchronized(plain: nn.BatchNorm2d) -> nn.Module:
    assert plain.momentum is not None, "networks of nars have running averages"
    joint = NaiveSyncBatchNorm2d(plain.num_features, True, plain.eps, plain.momentum)
    joint.weight, joint.bias = plain.weight, plain.bias
    joint.running_mean, joint.running_var = plain.running_mean, plain.running_var
    joint.num_batches_tracked = plain.num_batches_tracked
    return joint.train(plain.training)


class NaiveSyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose training statistics are averaged over all workers.

    With equal batches everywhere it is batch norm of the joined batch. With unequal ones a
    worker counts once, or by its batch size if `weighted`; one with an empty batch does not count,
    but takes part. Without other workers, and in evaluation, it is plain batch norm.
    """

    momentum: float

    def __init__(
        self, channels: int, weighted: bool = False, eps: float = 1e-5, momentum: float = 0.1
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
            if self.training and world_size() > 1:
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
