"""Depthwise convolutions on a GPU against those of a CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nars.device import kernels_for, resolve
from nars.networks.depthwise import DepthwiseConv2d


def pair(kernel: int, stride: int) -> tuple[nn.Conv2d, DepthwiseConv2d]:
    torch.manual_seed(0)
    conv = nn.Conv2d(12, 12, kernel, stride, kernel // 2, groups=12, bias=False)
    return conv, DepthwiseConv2d.of(conv)


def test_nothing_is_drawn_and_the_parameters_are_the_same() -> None:
    conv, made = pair(3, 2)
    state = torch.get_rng_state()
    again = DepthwiseConv2d.of(conv)
    assert torch.equal(torch.get_rng_state(), state)
    assert again.weight is conv.weight
    images = torch.randn(2, 12, 9, 9)
    assert torch.equal(made(images), conv(images))


@pytest.mark.gpu
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("half", [False, True])
def test_a_gpu_computes_the_same(kernel: int, stride: int, *, half: bool) -> None:
    device = resolve("cuda")
    conv, made = pair(kernel, stride)
    images = torch.randn(2, 12, 9, 9)
    results = []
    for module, where in ((conv, "cpu"), (made, "cuda")):
        x = images.to(where, copy=True).requires_grad_()
        module.weight = nn.Parameter(conv.weight.detach().to(where, copy=True))
        with kernels_for(1e6), torch.autocast("cuda", torch.bfloat16, enabled=half and where == "cuda"):
            y = module(x)
        y.float().square().sum().backward()
        assert x.grad is not None
        assert module.weight.grad is not None
        results.append([each.detach().float().cpu() for each in (y, x.grad, module.weight.grad)])
    tolerance = 0.03 if half else 1e-4
    for on_cpu, on_gpu in zip(*results, strict=True):
        assert (on_cpu - on_gpu).abs().max() <= tolerance * on_cpu.abs().max()
    assert device.type == "cuda"
