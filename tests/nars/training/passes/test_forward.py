"""Forward passes that measure a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nars.training.passes import Forward


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")],
        ),
    ]
)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


def network(device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten()).to(
        device
    )


def test_passes_have_the_weights_of_the_moment(device: torch.device) -> None:
    model = network(device).eval()
    recorded, plain = Forward(model, device, recorded=True), Forward(model, device)
    for step in range(8):
        with torch.no_grad():
            model[0].weight.mul_(1.1)
        images = torch.randn(4 if step % 3 else 2, 3, 8, 8, device=device)
        assert torch.equal(recorded(images), plain(images))


def test_passes_set_the_statistics_of_norms_that_train(device: torch.device) -> None:
    model, other = network(device), network(device)
    for norm in (model[1], other[1]):
        norm.momentum = 1.0
    recorded, plain = Forward(model, device, recorded=True), Forward(other, device)
    for _ in range(6):
        images = torch.randn(16, 3, 8, 8, device=device)
        recorded(images), plain(images)
        assert torch.equal(model[1].running_mean, other[1].running_mean)
        assert torch.equal(model[1].running_var, other[1].running_var)
