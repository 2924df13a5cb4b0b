"""Depthwise convolutions, by the kernels that suit the device, the maps and the length of a training.

On a GPU, cuDNN compiles kernels for new shapes of a depthwise convolution on small maps: a second for each
pass, ten seconds for a network that a search has not seen yet. PyTorch's kernels are there from the start,
and slower on large maps and batches; see `nars.device.kernels_for`.

On a CPU, oneDNN takes long for the gradient of the weights on small maps: 7 ms for both gradients of 1152
channels, 32 images and a kernel of 5x5 on maps of 2x2, .8 ms with a sum for each tap of the kernel, on a
core of an AMD EPYC. Source: `experiments/depthwise_speed.py`.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nars.device import compiles

__all__ = ["DepthwiseConv2d", "depthwise_conv2d"]


_CHANNELS = 64
"""Fewest channels for which sums over taps are faster; measured as in `experiments/depthwise_speed.py`."""

_LARGE_KERNEL = 5
"""Taps on a side of kernels for which oneDNN 3.12 has no fast gradient of the weights."""

_PLACES = 25
"""Most places of the output map for which sums are faster with such kernels."""

_FEW_PLACES = 4
"""The same with smaller kernels."""


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
    if images.is_cuda and not compiles():
        if torch.is_autocast_enabled("cuda"):
            dtype = torch.get_autocast_dtype("cuda")
            images, weight = images.to(dtype), weight.to(dtype)
        result: Tensor = _Native.apply(images, weight, list(stride), list(padding))
    elif _is_small(images, weight, stride, padding):
        result = _ByTaps.apply(images, weight, list(stride), list(padding))
    else:
        return F.conv2d(images, weight, bias, stride, padding, 1, weight.shape[0])
    return result if bias is None else result + bias.to(result.dtype)[:, None, None]


def _is_small(images: Tensor, weight: Tensor, stride: tuple[int, ...], padding: tuple[int, ...]) -> bool:
    """Whether a gradient of `weight` is to come from a CPU, and a sum for each tap is its faster way."""
    if images.device.type != "cpu" or not (torch.is_grad_enabled() and weight.requires_grad):
        return False
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    kernel, sides = weight.shape[2:], images.shape[2:]
    places = math.prod(
        (side + 2 * pad - taps) // step + 1
        for side, taps, step, pad in zip(sides, kernel, stride, padding, strict=True)
    )
    few = _FEW_PLACES if min(kernel) < _LARGE_KERNEL else _PLACES
    return len(weight) >= _CHANNELS and places <= few


class _Native(Function):
    """A depthwise convolution, and its gradients, without cuDNN."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.shape = stride, padding
        with torch.backends.cudnn.flags(enabled=False), torch.autocast("cuda", enabled=False):
            return F.conv2d(images, weight, None, stride, padding, 1, weight.shape[0])

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


class _ByTaps(Function):
    """A depthwise convolution whose weights get their gradients by a sum for each tap of the kernel."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.shape = stride, padding
        return F.conv2d(images, weight, None, stride, padding, 1, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        images, weight = ctx.saved_tensors
        stride, padding = ctx.shape
        needed = [ctx.needs_input_grad[0], False, False]
        to_images, _, _ = torch.ops.aten.convolution_backward(
            grad, images, weight, None, stride, padding, [1, 1], False, [0, 0], len(weight), needed
        )
        return to_images, _to_weight(images, grad, weight, stride, padding), None, None


def _to_weight(images: Tensor, grad: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    """The gradient of `weight` [C, 1, kH, kW]: what each tap saw, times the gradient of where it was seen."""
    kernel = weight.shape[2:]
    seen, wanted = images.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)  # channels last, as they are stored
    result = images.new_zeros(*kernel, len(weight))
    for row, column in itertools.product(*map(range, kernel)):
        rows, down = _met(row - padding[0], stride[0], seen.shape[1], wanted.shape[1])
        columns, across = _met(column - padding[1], stride[1], seen.shape[2], wanted.shape[2])
        product = seen[:, rows, columns] * wanted[:, down, across]
        torch.sum(product, (0, 1, 2), out=result[row, column])
    return result.permute(2, 0, 1)[:, None]


def _met(shift: int, stride: int, side: int, places: int) -> tuple[slice, slice]:
    """The pixels of a side that a tap of the kernel meets, and the places of the output where it does.

    The tap is `shift` pixels behind the first of the pixels that a place begins with.
    """
    first = max(0, -(shift // stride))
    end = max(first, min(places, (side - 1 - shift) // stride + 1))
    start = first * stride + shift
    return slice(start, start + (end - first) * stride, stride), slice(first, end)
