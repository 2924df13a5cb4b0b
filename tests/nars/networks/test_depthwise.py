"""Depthwise convolutions on a GPU against those of a CPU, and their gradients by taps against oneDNN's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nars.device import kernels_for, resolve
from nars.networks import depthwise
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


@pytest.mark.parametrize("side", [1, 2, 3, 7])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_gradients_by_taps_are_those_of_pytorch(
    side: int, kernel: int, stride: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = max(side, kernel - 2 * padding)
    monkeypatch.setattr(depthwise, "_FEW_PLACES", 100)
    monkeypatch.setattr(depthwise, "_PLACES", 100)
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, kernel, stride, padding, groups=64).double()
    images = torch.randn(2, 64, side, side + 1, dtype=torch.float64).requires_grad_()
    results = []
    for module in (conv, DepthwiseConv2d.of(conv)):
        y = module(images)
        loss = (y * torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape)).sum()
        results.append([y, *torch.autograd.grad(loss, [images, conv.weight, conv.bias])])
    assert "ByTaps" in str(results[1][0].grad_fn.next_functions)
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("channels", "kernel", "side", "by_taps"),
    [(64, 5, 5, True), (64, 5, 6, False), (64, 3, 2, True), (64, 3, 3, False), (63, 5, 4, False)],
)
def test_taps_are_summed_where_they_are_faster(
    channels: int, kernel: int, side: int, *, by_taps: bool
) -> None:
    conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
    made, images = DepthwiseConv2d.of(conv), torch.randn(2, channels, side, side)
    assert ("ByTaps" in str(made(images).grad_fn)) == by_taps
    with torch.no_grad():
        assert made(images).grad_fn is None
    made.weight.requires_grad_(requires_grad=False)
    assert "ByTaps" not in str(made(images.requires_grad_()).grad_fn)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_a_traced_network_has_plain_convolutions() -> None:
    made = DepthwiseConv2d.of(nn.Conv2d(64, 64, 5, padding=2, groups=64))
    images = torch.randn(2, 64, 4, 4)
    for graph in (
        torch.export.export(made, (images,)).module(),
        torch.export.export(made, (images,), strict=False).module(),
        torch.jit.trace(made, images),
        torch.jit.script(made),
    ):
        torch.testing.assert_close(graph(images), made(images))


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
