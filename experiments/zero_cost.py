"""Scores of an untrained network at initialization, known as zero-cost proxies.

Abdelfattah et al. (ICLR 2021) compare them. They need no data here: images and labels are random.
`experiments.free_statistics` uses them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["gradient_norm", "linear_regions", "synaptic_flow"]


def gradient_norm(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Euclidean norm of the cross-entropy's gradient, with batch norms in training mode.

    `images` are [n, C, H, W], `labels` [n].
    """
    model.train().zero_grad()
    F.cross_entropy(model(images), labels).backward()
    squares = [weight.grad.square().sum() for weight in model.parameters() if weight.grad is not None]
    return float(torch.stack(squares).sum().sqrt())


def synaptic_flow(model: nn.Module, side: int) -> float:
    """Logarithm of the sum of weights times their gradients, with positive weights and an input of ones.

    Tanaka et al. (NeurIPS 2020), equation 2; the logarithm because it grows exponentially with depth.
    Biases and batch norms are left out, as in the paper. Inputs are square, `side` pixels wide. Changes the
    weights.
    """
    model.double().eval().zero_grad()
    with torch.no_grad():
        for weight in model.parameters():
            weight.abs_()
    image = torch.ones(1, 3, side, side, dtype=torch.float64)
    model(image).sum().backward()
    flows = [
        (weight * weight.grad).sum()
        for weight in model.parameters()
        if weight.grad is not None and weight.dim() > 1
    ]
    return float(torch.stack(flows).sum().log().detach())


@torch.no_grad()
def linear_regions(model: nn.Module, images: Tensor) -> float:
    """How differently images [n, C, H, W] switch the activations on: log det of the kernel of agreements.

    Mellor et al. (ICML 2021), equation 2. An activation is on if its input is positive, for hard swish and
    SiLU as for ReLU.
    """
    codes: list[Tensor] = []

    def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        codes.append((inputs[0].flatten(1) > 0).float())

    switches = [module for module in model.modules() if isinstance(module, nn.Hardswish | nn.ReLU | nn.SiLU)]
    handles = [switch.register_forward_pre_hook(record) for switch in switches]
    model.float().train()(images)
    for handle in handles:
        handle.remove()
    agreements = sum((code @ code.T + (1 - code) @ (1 - code).T).double() for code in codes)
    return float(torch.linalg.slogdet(agreements).logabsdet)
