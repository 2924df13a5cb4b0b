"""Depthwise convolutions, on a GPU by the kernels that suit the length of a training.

cuDNN compiles kernels for new shapes of a depthwise convolution on small maps: a second for each pass, ten
seconds for a network that a search has not seen yet. PyTorch's kernels are there from the start, and slower
on large maps and batches; see `nars.device.kernels_for`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nars.device import compiles

__all__ = ["DepthwiseConv2d", "depthwise_conv2d"]


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself, with zeros around the map."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> DepthwiseConv2d:
        """The same convolution, with the same parameters; nothing is drawn."""
        assert conv.groups == conv.in_channels == conv.out_channels
        made: DepthwiseConv2d = nn.utils.skip_init(
            cls,
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            groups=conv.groups,
            bias=conv.bias is not None,
        )
        made.weight, made.bias = conv.weight, conv.bias
        return made

    def forward(self, input: Tensor) -> Tensor:
        if not torch.jit.is_scripting():  # scripts know no functions with gradients of their own
            assert not isinstance(self.padding, str)
            return depthwise_conv2d(input, self.weight, self.bias, self.stride, self.padding)
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, 1, self.groups)


def depthwise_conv2d(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> Tensor:
    """Convolve each channel of [N, C, H, W] with its own kernel of `weight` [C, 1, kH, kW]."""
    if not images.is_cuda or compiles():
        return F.conv2d(images, weight, bias, stride, padding, 1, len(weight))
    if torch.is_autocast_enabled("cuda"):
        dtype = torch.get_autocast_dtype("cuda")
        images, weight = images.to(dtype), weight.to(dtype)
    result: Tensor = _Native.apply(images, weight, list(stride), list(padding))
    return result if bias is None else result + bias.to(result.dtype)[:, None, None]


class _Native(Function):
    """A depthwise convolution, and its gradients, without cuDNN."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.shape = stride, padding
        with torch.backends.cudnn.flags(enabled=False), torch.autocast("cuda", enabled=False):
            return F.conv2d(images, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        images, weight = ctx.saved_tensors
        stride, padding = ctx.shape
        needed = [*ctx.needs_input_grad[:2], False]
        with torch.backends.cudnn.flags(enabled=False):
            to_images, to_weight, _ = torch.ops.aten.convolution_backward(
                grad, images, weight, None, stride, padding, [1, 1], False, [0, 0], len(weight), needed
            )
        return to_images, to_weight, None, None
