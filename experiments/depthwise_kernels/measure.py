"""Time forward and both backward passes of depthwise convolutions on a GPU, then a whole training step.

For every shape: seconds of the first call, with what is compiled for it, and microseconds of later ones. The
step is that of EfficientNet-Lite0 at 96 pixels in batches of 64, recorded as a CUDA graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.bare_loops import seconds_of
from experiments.depthwise_kernels.triton_kernels import DepthwiseTriton
from nars.device import kernels_for
from nars.networks import depthwise
from nars.networks.build import build
from nars.spec import Recipe
from search_spaces import published

SHAPES = (
    (64, 32, 48, 3, 1),
    (64, 96, 48, 3, 2),
    (64, 144, 24, 5, 2),
    (64, 240, 12, 5, 1),
    (64, 480, 6, 5, 1),
    (64, 672, 6, 5, 2),
    (64, 1152, 3, 5, 1),
    (16, 96, 75, 5, 1),
    (16, 288, 14, 5, 1),
    (512, 48, 12, 3, 1),
)
"""Images, channels, side of the map, side of the kernel, stride."""

WAYS = ("cuDNN", "PyTorch", "Triton")

_REPEATS = 50
"""Calls that are timed."""


@contextmanager
def kernels_of(way: str) -> Iterator[None]:
    """Take the kernels of a library for all depthwise convolutions of the block."""
    if way == "Triton":
        with kernels_for(0), patch.object(depthwise, "_Native", _Triton):
            yield
    else:
        with kernels_for(1e12 if way == "cuDNN" else 0):
            yield


class _Triton:
    """Stands in for PyTorch's kernels."""

    @staticmethod
    def apply(images: Tensor, weight: Tensor, stride: list[int], _: list[int]) -> Any:
        return DepthwiseTriton.apply(images, weight, stride[0])


def main() -> None:
    """Print a line for every shape, and one for every whole step."""
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print("images channels side kernel stride: first call in s, later calls in µs")
    for shape in SHAPES:
        cells = [f"{way} {_first_and_later(shape, way)}" for way in WAYS]
        print(*shape, ":", ", ".join(cells), flush=True)
    for way in WAYS:
        with kernels_of(way):
            print(f"a step of Lite0 with {way}: {_step()}", flush=True)


def _first_and_later(shape: tuple[int, ...], way: str) -> str:
    n, channels, side, kernel, stride = shape
    images = torch.randn(n, channels, side, side, device="cuda", dtype=torch.bfloat16)
    images = images.to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(channels, 1, kernel, kernel, device="cuda", dtype=torch.bfloat16).requires_grad_()
    strides, padding = (stride, stride), (kernel // 2, kernel // 2)

    def work() -> None:
        result = depthwise.depthwise_conv2d(images, weight, None, strides, padding)
        torch.autograd.grad(result, [images, weight], result)

    with kernels_of(way):
        first = _seconds(work, 1)
        _seconds(work, 3)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return f"{first:.2f} s, {1e6 * _seconds(graph.replay, _REPEATS) / _REPEATS:.0f} µs"


def _seconds(work: Callable[[], object], times: int) -> float:
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def _step() -> str:
    """A training step, recorded: seconds until it was warm, and images a second."""
    network = published("efficientnet_lite0").replace(resolution=96)
    model = build(network, 10, Recipe()).cuda().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
    images = torch.randn(64, 3, 96, 96, device="cuda").contiguous(memory_format=torch.channels_last)
    labels = torch.arange(64, device="cuda") % 10

    def step() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    began = time.perf_counter()
    _, recorded = seconds_of(step, optimizer)
    return f"{64 / recorded:,.0f} images/s, all in all {time.perf_counter() - began:.1f} s"


if __name__ == "__main__":
    main()
