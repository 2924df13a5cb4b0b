"""Scores of a network at initialisation, without training: "zero-cost proxies".

As compared by Abdelfattah et al. (ICLR 2021). They need no data here: images and labels are random.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["gradient_norm", "linear_regions", "synaptic_flow"]


def gradient_norm(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Euclidean norm of the cross-entropy's gradient, batch norms in training mode."""
    model.train().zero_grad()
    F.cross_entropy(model(images), labels).backward()
    squares = [each.grad.square().sum() for each in model.parameters() if each.grad is not None]
    return float(torch.stack(squares).sum().sqrt())


def synaptic_flow(model: nn.Module, side: int) -> float:
    """Sum of every weight's size times its gradient, of a network with positive weights and an input of ones.

    Tanaka et al. (NeurIPS 2020), equation 2; its logarithm, for it grows exponentially with depth. Biases
    and batch norms are left out, as in the paper. Changes the weights.
    """
    model.double().eval().zero_grad()
    with torch.no_grad():
        for each in model.parameters():
            each.abs_()
    image = torch.ones(1, 3, side, side, dtype=torch.float64)
    model(image).sum().backward()
    flows = [
        (each * each.grad).sum() for each in model.parameters() if each.grad is not None and each.dim() > 1
    ]
    return float(torch.stack(flows).sum().log().detach())


@torch.no_grad()
def linear_regions(model: nn.Module, images: Tensor) -> float:
    """How differently images [n, C, H, W] switch the activations: log det of the kernel of agreements.

    Mellor et al. (ICML 2021), equation 2, with the sign of what enters a hard swish for that of a ReLU.
    """
    codes: list[Tensor] = []

    def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        codes.append((inputs[0].flatten(1) > 0).float())

    switches = [each for each in model.modules() if isinstance(each, nn.Hardswish | nn.ReLU | nn.SiLU)]
    handles = [each.register_forward_pre_hook(record) for each in switches]
    model.float().train()(images)
    for handle in handles:
        handle.remove()
    agreements = sum((code @ code.T + (1 - code) @ (1 - code).T).double() for code in codes)
    return float(torch.linalg.slogdet(agreements).logabsdet)
