"""Compare the kernels with PyTorch's results: on a GPU, or in Triton's interpreter on a CPU."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F

from experiments.depthwise_kernels.triton_kernels import DepthwiseTriton


def main() -> None:
    """Print the largest difference, in shares of the largest value, of every kind of case."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(0)
    for kernel, stride, side, channels in itertools.product((3, 5), (1, 2), (1, 2, 5, 9), (8, 40)):
        images = torch.randn(2, channels, side, side + 1, generator=generator).to(device).requires_grad_()
        weight = torch.randn(channels, 1, kernel, kernel, generator=generator).to(device).requires_grad_()
        results = []
        for convolve in (
            lambda x, w: F.conv2d(x, w, None, stride, kernel // 2, 1, channels),  # noqa: B023 - used at once
            lambda x, w: DepthwiseTriton.apply(x, w, stride),  # noqa: B023 - likewise
        ):
            result = convolve(images, weight)
            grads = torch.autograd.grad(result.sin().sum(), [images, weight])
            results.append([result.detach(), *grads])
        off = max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(*results, strict=True))
        print(f"kernel {kernel}, stride {stride}, {side} x {side + 1}, {channels} channels: {off:.1e}")
        assert off < 1e-4


if __name__ == "__main__":
    main()
