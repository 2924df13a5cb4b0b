"""Depthwise convolutions over maps smaller than their kernel, trained at a bearable speed on CPUs.

oneDNN has no vectorized kernel for the weight gradient of such a convolution and falls back to a
reference loop: with a 5x5 kernel, 64 maps of 192 channels take 22 ms if they are 4x4 and 3 ms if
they are 5x5. A training on images of 16 to 32 pixels would spend most of its time there. The
convolution pads with zeros anyway, so zeros below and to the right of a map do not change the
outputs of the map itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["widened"]


@contextmanager
def widened(model: nn.Module, device: torch.device) -> Iterator[None]:
    """While the body trains `model` on a CPU, widen small maps to the kernel and crop the outputs."""
    handles = []
    if device.type == "cpu":
        for module in model.modules():
            if _is_depthwise(module):
                widen = _Widen()
                handles.append(module.register_forward_pre_hook(widen.before))
                handles.append(module.register_forward_hook(widen.after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_depthwise(module: nn.Module) -> bool:
    """Whether a module is a depthwise convolution whose maps may be smaller than its kernel.

    One with SAME padding pads its maps itself, to its kernel's size or more.
    """
    if not isinstance(module, nn.Conv2d) or module.padding == "same":
        return False
    return module.groups == module.in_channels > 1


class _Widen:
    """The two hooks of one convolution, which share the size that the map had."""

    def __init__(self) -> None:
        self.size: tuple[int, int] | None = None

    def before(self, conv: nn.Module, inputs: tuple[Tensor]) -> Tensor | None:
        assert isinstance(conv, nn.Conv2d)
        height, width = inputs[0].shape[-2:]
        below, right = max(conv.kernel_size[0] - height, 0), max(conv.kernel_size[1] - width, 0)
        self.size = None
        if not conv.training or not (below or right):
            return None
        self.size = height, width
        return F.pad(inputs[0], (0, right, 0, below))

    def after(self, conv: nn.Module, _: tuple[Tensor], output: Tensor) -> Tensor | None:
        if self.size is None:
            return None
        assert isinstance(conv, nn.Conv2d)
        assert not isinstance(conv.padding, str)
        rows, columns = (
            (side + 2 * padding - kernel) // stride + 1
            for side, padding, kernel, stride in zip(
                self.size, conv.padding, conv.kernel_size, conv.stride, strict=True
            )
        )
        return output[..., :rows, :columns]
