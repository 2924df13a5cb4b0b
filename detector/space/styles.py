"""The choices that all blocks of a network share, as one dimension of a space."""

from __future__ import annotations

from typing import Literal

from nars.documents import Frozen
from nars.spec import Architecture, Block

__all__ = ["Style"]


class Style(Frozen):
    """The choices that a family of networks makes once: the published detectors, or EfficientNet-Lite."""

    activation: Literal["hswish", "relu", "relu6", "silu"] = "relu"
    squeeze: Literal["input", "hidden"] = "hidden"
    depthwise: Literal["norm_act", "bare"] = "bare"
    bias: bool = True
    """Whether the convolution of a conv has a bias."""
    same: bool = False
    """Whether blocks with stride 2 pad as TensorFlow does."""
    norm_eps: float = Architecture.model_fields["norm_eps"].default
    norm_momentum: float = Architecture.model_fields["norm_momentum"].default

    def applied(self, block: Block) -> Block:
        """The block in this style."""
        return block.replace(
            activation=self.activation,
            squeeze=self.squeeze,
            depthwise=self.depthwise,
            bias=self.bias if block.op == "conv" else True,
            padding="same" if self.same and block.stride == 2 else None,
        )
