from __future__ import annotations

import pytest
import torch
from torch import nn

from nars.networks.blocks import SameConv2d
from nars.training.passes import widened


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_widened_maps_give_the_same_gradients(side: int, kernel: int, stride: int) -> None:
    conv = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8).double()
    results = []
    for device in (torch.device("meta"), torch.device("cpu")):  # a device that is no CPU has no hooks
        x = (
            torch.linspace(-1, 1, 4 * 8 * side**2, dtype=torch.float64)
            .view(4, 8, side, side)
            .requires_grad_()
        )
        conv.zero_grad()
        with widened(conv, device):
            y = conv(x)
        (y * torch.linspace(0, 1, y.numel(), dtype=torch.float64).view_as(y)).sum().backward()
        results.append((y.detach(), x.grad, conv.weight.grad, conv.bias.grad))
    for plain, wide in zip(*results, strict=True):
        torch.testing.assert_close(wide, plain, rtol=1e-10, atol=1e-12)
    assert not conv._forward_hooks
    assert not conv._forward_pre_hooks


def test_a_convolution_that_pads_its_maps_itself_is_left_alone() -> None:
    conv = SameConv2d(8, 8, 5, 2, groups=8)
    for side in (1, 2, 3):
        x = torch.randn(2, 8, side, side)
        expected = conv(x)
        with widened(conv, torch.device("cpu")):
            assert torch.equal(conv(x), expected)
