"""Architectures: stages of rows of equal blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nars.documents import Document, Frozen
from nars.foreign.limits import MOST_BLOCKS, MOST_CHANNELS, MOST_EXPANSION, MOST_PADDING, MOST_SIDE
from nars.foreign.networks import check_network

__all__ = ["Architecture", "Block", "Norm", "unroll"]

Norm = Literal["bn", "gn", "sync_bn", "naive_sync_bn", "naive_sync_bn_weighted", "frozen_bn"]
"""Normalization layers by name; `nars.networks.norms.norm` documents each."""

_Channels = Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
_Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]


class Block(Frozen):
    """One row of an architecture: `repeats` blocks of one kind, one after the other.

    Only the first block of a row has the row's stride and changes the channel count. An
    mbconv adds its input to its output if its stride is 1 and the channels agree.

    - ``conv``: kxk convolution (with a bias, unless `bias` is false), norm, activation.
    - ``mbconv``: 1x1 expansion (absent if it would not widen), depthwise kxk, squeeze-and-excitation,
      1x1 projection.
    - ``mbpool``: 1x1 expansion, global average pool, 1x1, activation; ends a classifier.

    Source: FBNetV3 (CVPR 2021), section 4, and the published definitions.
    """

    later_fields: ClassVar[tuple[str, ...]] = ("bias",)

    op: Literal["conv", "mbconv", "mbpool"]
    channels: _Channels
    kernel: Literal[1, 3, 5, 7] | None = None
    stride: Literal[1, 2, -2] = 1
    """Stride of the first block; -2 upsamples by 2 (nearest) before the depthwise convolution."""
    repeats: Annotated[int, Field(ge=1, le=MOST_BLOCKS)] = 1
    expansion: Annotated[int | float, Field(gt=0, le=MOST_EXPANSION)] | None = None
    se: Literal["none", "hsigmoid", "sigmoid"] = "none"
    """The gate of squeeze-and-excitation."""
    activation: Literal["hswish", "relu", "relu6", "silu"] = "hswish"
    padding: Annotated[int, Field(ge=0, le=MOST_PADDING)] | Literal["same"] | None = None
    """Padding of the first block; None is kernel // 2. ``same`` is TensorFlow's: with stride 2 it pads an
    even map by one less at the top and left than at the bottom and right."""
    squeeze: Literal["input", "hidden"] = "input"
    """Whether to squeeze to about a quarter of the block's input channels, or of its hidden ones."""
    depthwise: Literal["norm_act", "bare"] = "norm_act"
    """Whether norm and activation follow the depthwise convolution."""
    bias: bool = True
    """Whether the convolution of a conv has a bias; the convolutions of the others have none."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        needs = {"conv": ("kernel",), "mbconv": ("kernel", "expansion"), "mbpool": ("expansion",)}[self.op]
        for name in ("kernel", "expansion"):
            if (getattr(self, name) is None) == (name in needs):
                raise ValueError(f"{self.op} {'needs' if name in needs else 'has no'} {name}")
        if self.op != "mbconv" and (self.se != "none" or self.stride == -2):
            given = f"se {self.se}, stride {self.stride}"
            raise ValueError(f"{self.op} has neither se nor stride -2, got {given}")
        if self.op == "mbpool" and (self.stride != 1 or self.repeats != 1):
            raise ValueError("mbpool stands alone, with stride 1 and repeats 1")
        if self.op != "conv" and not self.bias:
            raise ValueError(f"only a conv has a bias to leave out, {self.op} has none")
        return self

    def single(self, repeat: int) -> Self:
        """Block number `repeat` of the row, from 0: the later ones have stride 1 and padding None."""
        changes = {"repeats": 1} if repeat == 0 else {"repeats": 1, "stride": 1, "padding": None}
        return self.model_copy(update=changes)


class Architecture(Document):
    """A network without its weights: stages of block rows, input channels and resolution.

    `resolution` is the side, in pixels, of the square input that the network was chosen for; it
    accepts other sizes.
    """

    kind: ClassVar[str] = "architecture"
    later_fields: ClassVar[tuple[str, ...]] = ("norm_eps", "norm_momentum")

    name: str = "unnamed"
    resolution: _Side
    in_channels: _Channels = 3
    norm_eps: Annotated[float, Field(gt=0, le=1)] = 1e-5
    """Added to every variance by the norms."""
    norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Weight of a new batch in the running statistics of batch norms."""
    stages: Annotated[tuple[Annotated[tuple[Block, ...], Field(min_length=1)], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rules(self) -> Self:
        rows = [row for stage in self.stages for row in stage]
        check_network(rows, self.in_channels, self.resolution)
        if any(row.op == "mbpool" for row in rows[:-1]):
            raise ValueError("mbpool may only be the last row: it pools to 1x1")
        return self

    def blocks(self) -> Iterator[tuple[int, int, Block]]:
        """Every single block in order, as (stage, input channels, row with repeats 1)."""
        yield from unroll(self.stages, self.in_channels)

    def spatial_stages(self) -> list[list[Block]]:
        """The stages without the head of a classifier: an mbpool, or a last stage of one 1x1 convolution."""
        kept = [[row for row in stage if row.op != "mbpool"] for stage in self.stages]
        kept = [stage for stage in kept if stage]
        widens = [(row.op, row.kernel, row.repeats, row.stride) for row in kept[-1]] == [("conv", 1, 1, 1)]
        return kept[:-1] if widens and len(kept) > 1 else kept


def unroll(stages: Iterable[Iterable[Block]], in_channels: int) -> Iterator[tuple[int, int, Block]]:
    """Every single block of `stages` in order, as (stage, input channels, row with repeats 1)."""
    for index, stage in enumerate(stages):
        for row in stage:
            for repeat in range(row.repeats):
                yield index, in_channels, row.single(repeat)
                in_channels = row.channels
