"""A depthwise convolution and its gradients in Triton, on maps whose channels lie side by side in memory."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["DepthwiseTriton"]

_PLACES, _CHANNELS = 32, 32
"""Places and channels that a program works on at a time."""

_SPLITS = 64
"""Parts of the places that are summed separately for the gradient of the weights, at most."""

_VARYING = ["places", "channels", "height", "width", "out_height", "out_width"]
"""Arguments for whose values nothing is compiled anew."""


@triton.jit(do_not_specialize=_VARYING)
def _spread(
    source,
    weight,
    result,
    places,
    channels,
    height,
    width,
    out_height,
    out_width,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    BACK: tl.constexpr,
    PLACES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Each place of `result` [N, H', W', C] from those of `source` [N, H, W, C] that `weight` reaches.

    `weight` is [K², C], a row for each tap. ``BACK`` runs the convolution backwards: `source` is then the
    gradient of its output.
    """
    place = tl.program_id(0) * PLACES + tl.arange(0, PLACES)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    is_channel = channel < channels
    image = place // (out_height * out_width)
    y = place // out_width % out_height
    x = place % out_width
    total = tl.zeros((PLACES, CHANNELS), dtype=tl.float32)
    for tap in tl.static_range(KERNEL * KERNEL):
        if BACK:
            down = y + KERNEL // 2 - tap // KERNEL
            right = x + KERNEL // 2 - tap % KERNEL
            is_met = (down % STRIDE == 0) & (right % STRIDE == 0) & (down >= 0) & (right >= 0)
            down = down // STRIDE
            right = right // STRIDE
        else:
            down = y * STRIDE - KERNEL // 2 + tap // KERNEL
            right = x * STRIDE - KERNEL // 2 + tap % KERNEL
            is_met = (down >= 0) & (right >= 0)
        is_met = is_met & (down < height) & (right < width) & (place < places)
        at = ((image * height + down) * width + right)[:, None] * channels + channel[None, :]
        values = tl.load(source + at, mask=is_met[:, None] & is_channel[None, :], other=0.0)
        factor = tl.load(weight + tap * channels + channel, mask=is_channel, other=0.0)
        total += values.to(tl.float32) * factor.to(tl.float32)[None, :]
    at = place[:, None] * channels + channel[None, :]
    is_there = (place < places)[:, None] & is_channel[None, :]
    tl.store(result + at, total.to(result.dtype.element_ty), mask=is_there)


@triton.jit(do_not_specialize=[*_VARYING, "share"])
def _sums(
    images,
    grad,
    result,
    places,
    channels,
    height,
    width,
    out_height,
    out_width,
    share,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    PLACES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Sums [S, K², C] over a share of the places each: what `grad` [N, H', W', C] says of every tap."""
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    tap = tl.program_id(1)
    part = tl.program_id(2)
    is_channel = channel < channels
    total = tl.zeros((CHANNELS,), dtype=tl.float32)
    last = tl.minimum((part + 1) * share, places)
    for first in range(part * share, last, PLACES):
        place = first + tl.arange(0, PLACES)
        image = place // (out_height * out_width)
        down = place // out_width % out_height * STRIDE - KERNEL // 2 + tap // KERNEL
        right = place % out_width * STRIDE - KERNEL // 2 + tap % KERNEL
        is_met = (down >= 0) & (right >= 0) & (down < height) & (right < width) & (place < last)
        mask = is_met[:, None] & is_channel[None, :]
        at = ((image * height + down) * width + right)[:, None] * channels + channel[None, :]
        values = tl.load(images + at, mask=mask, other=0.0).to(tl.float32)
        slopes = tl.load(grad + place[:, None] * channels + channel[None, :], mask=mask, other=0.0)
        total += tl.sum(values * slopes.to(tl.float32), axis=0)
    at = (part * KERNEL * KERNEL + tap) * channels + channel
    tl.store(result + at, total, mask=is_channel)


class DepthwiseTriton(Function):
    """Images [N, C, H, W] and kernels [C, 1, K, K], odd K, padded by K // 2, to [N, C, H', W']."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        taps = weight.flatten(1).t().contiguous()
        ctx.save_for_backward(images, taps)
        ctx.stride = stride
        sides = [(side - 1) // stride + 1 for side in images.shape[2:]]
        return _spread_to(images, taps, (*images.shape[:2], *sides), stride, back=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        images, taps = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        to_images = to_weight = None
        if ctx.needs_input_grad[0]:
            to_images = _spread_to(grad, taps, images.shape, ctx.stride, back=True)
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(images, grad, taps, ctx.stride)
        return to_images, to_weight, None


def _spread_to(source: Tensor, taps: Tensor, shape: tuple[int, ...], stride: int, *, back: bool) -> Tensor:
    result = torch.empty(shape, dtype=source.dtype, device=source.device, memory_format=torch.channels_last)
    n, channels, out_height, out_width = shape
    places = n * out_height * out_width
    grid = (triton.cdiv(places, _PLACES), triton.cdiv(channels, _CHANNELS))
    sizes = (places, channels, *source.shape[2:], out_height, out_width)
    kernel = round(len(taps) ** 0.5)
    _spread[grid](
        source,
        taps,
        result,
        *sizes,
        KERNEL=kernel,
        STRIDE=stride,
        BACK=back,
        PLACES=_PLACES,
        CHANNELS=_CHANNELS,
    )
    return result


def _weight_gradient(images: Tensor, grad: Tensor, taps: Tensor, stride: int) -> Tensor:
    n, channels, height, width = images.shape
    places = n * grad.shape[2] * grad.shape[3]
    share = _PLACES * triton.cdiv(triton.cdiv(places, _SPLITS), _PLACES)
    splits = triton.cdiv(places, share)
    sums = torch.empty((splits, *taps.shape), dtype=torch.float32, device=images.device)
    sizes = (places, channels, height, width, *grad.shape[2:], share)
    kernel = round(len(taps) ** 0.5)
    _sums[(triton.cdiv(channels, _CHANNELS), len(taps), splits)](
        images, grad, sums, *sizes, KERNEL=kernel, STRIDE=stride, PLACES=_PLACES, CHANNELS=_CHANNELS
    )
    return sums.sum(0).t().reshape(channels, 1, kernel, kernel).to(taps.dtype)
