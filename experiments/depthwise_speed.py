"""How long do gradients of depthwise convolutions take on one CPU thread, by oneDNN and by taps?

    OMP_NUM_THREADS=1 python -m experiments.depthwise_speed

For each shape it prints the milliseconds of oneDNN's gradients and of those of `nars.networks.depthwise`,
the processor's time, the best of five; then the same for a whole training step of EfficientNet-Lite0 on 32
images. Costs half a minute. Expected: sums over taps are faster where `nars.networks.depthwise` takes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.photo_table.networks import stock
from nars.networks import depthwise
from nars.networks.build import build
from nars.spec import Recipe

SHAPES = (
    (32, 1152, 2, 5, 1),
    (32, 1152, 2, 3, 1),
    (32, 1152, 3, 5, 1),
    (32, 672, 4, 5, 1),
    (32, 672, 8, 5, 2),
    (32, 240, 8, 5, 1),
    (64, 600, 6, 5, 1),
    (128, 400, 3, 5, 1),
    (64, 64, 4, 5, 1),
    (32, 672, 4, 3, 1),
    (64, 64, 12, 5, 1),
    (64, 16, 4, 5, 1),
)
"""Images, channels, side of the map, side of the kernel, stride."""

SIDES = (48, 64, 96)
"""Resolutions of EfficientNet-Lite0."""


def milliseconds(work: Callable[[], object], repeats: int = 5) -> float:
    """The processor's time of the fastest of several calls."""
    work()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


@contextmanager
def by(taps: bool) -> Iterator[None]:
    """Take sums over taps for every shape or for none."""
    with patch.object(depthwise, "_is_small", lambda *_: taps):
        yield


def gradients(n: int, channels: int, side: int, kernel: int, stride: int) -> Callable[[], object]:
    """A call that computes both gradients of a convolution."""
    images = torch.randn(n, channels, side, side).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
    pad = kernel // 2
    result = depthwise.depthwise_conv2d(images, weight, None, (stride, stride), (pad, pad))
    grad = torch.randn_like(result)
    return lambda: torch.autograd.grad(result, [images, weight], grad, retain_graph=True)


def step(side: int) -> Callable[[], object]:
    """A call that trains Lite0 for one step."""
    model = build(stock(side), 10, Recipe()).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images = torch.randn(32, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (32,))

    def train() -> None:
        optimizer.zero_grad()
        loss: Tensor = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    assert isinstance(model, nn.Module)
    return train


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("images channels side kernel stride: oneDNN ms, taps ms, taken")
    for shape in SHAPES:
        times = []
        for taps in (False, True):
            with by(taps):
                times.append(milliseconds(gradients(*shape)))
        n, channels, side, kernel, stride = shape
        weight = torch.empty(channels, 1, kernel, kernel, requires_grad=True)
        taken = depthwise._is_small(
            torch.empty(n, channels, side, side), weight, (stride, stride), (kernel // 2, kernel // 2)
        )
        print(*shape, f": {times[0]:.2f}, {times[1]:.2f}, {'taps' if taken else 'oneDNN'}", flush=True)
    for side in SIDES:
        train = step(side)
        with by(False):
            before = milliseconds(train)
        print(
            f"a step of Lite0 at {side} pixels: {before:.0f} ms, now {milliseconds(train):.0f} ms", flush=True
        )


if __name__ == "__main__":
    main()
