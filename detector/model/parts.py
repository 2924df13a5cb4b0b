"""The parts of a detector: block rows of its trunk and of each of its heads.

The layout is Faster R-CNN's C4: proposals and pooling use the trunk's last map (C4), and the
last stages of a classifier (C5) process every pooled region instead. `parts_of` cuts a searched
architecture this way; `detector.model.catalogue` has the published detectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Protocol, TypeVar

from pydantic import Field, model_validator

from nars.documents import Frozen
from nars.errors import SpecError
from nars.foreign.limits import MOST_CHANNELS
from nars.foreign.networks import check_network
from nars.space.widths import hidden_width
from nars.spec import Architecture, Block

__all__ = ["BlockRows", "Parts", "by_downsampling", "by_stages", "parts_of", "with_mask_head"]

BlockRows = Annotated[tuple[Block, ...], Field(min_length=1)]
"""Rows of blocks, one after the other."""
_Stages = Annotated[tuple[BlockRows, ...], Field(min_length=1)]


class _Row(Protocol):
    """A block, or a row of them."""

    @property
    def stride(self) -> int: ...


_AnyRow = TypeVar("_AnyRow", bound=_Row)


class Parts(Frozen):
    """The block rows of a detector, without its weights and settings."""

    later_fields: ClassVar[tuple[str, ...]] = ("norm_eps", "norm_momentum")

    name: str = "unnamed"
    norm_eps: float = Architecture.model_fields["norm_eps"].default
    """Added to every variance by the norms of trunk and heads."""
    norm_momentum: float = Architecture.model_fields["norm_momentum"].default
    """Weight of a new batch in the running statistics of their batch norms."""
    trunk: _Stages
    """Stages from the image to C4; with `fpn`, to C5."""
    rpn: BlockRows
    """The RPN's tower, before objectness and box deltas."""
    box: BlockRows
    """The box head (C5), applied to each pooled region before its average pool."""
    mask: BlockRows | None = None
    """The mask head, if there is one."""
    keypoints: BlockRows | None = None
    """The keypoint head of some published detectors, kept as data only: none is built."""
    fpn: Annotated[int, Field(ge=1, le=MOST_CHANNELS)] | None = None
    """Channels of a feature pyramid over all stages of the trunk except the first; None means C4."""

    @model_validator(mode="after")
    def _rules(self) -> Parts:
        if any(row.op == "mbpool" for rows in self._all_rows() for row in rows):
            raise ValueError("mbpool leaves no map to look at")
        if any(row.stride != 1 for row in self.rpn):
            raise ValueError("the RPN's tower keeps the map's size, so its rows have stride 1")
        if self.fpn is not None and len(self.trunk) < 2:
            raise ValueError("a feature pyramid needs a trunk of 2 stages or more")
        if self.fpn is not None and any(all(row.stride != 2 for row in rows) for rows in self.trunk[1:]):
            raise ValueError(
                "a feature pyramid needs a downsampling in every stage of the trunk after the first"
            )
        self.check_sizes()
        return self

    def check_sizes(self, longest: int = 1, cells: int = 1) -> None:
        """Check how large the detector is for an image and for a region of these sides.

        Raises `ValueError`.
        """
        check_network([row for stage in self.trunk for row in stage], 3, longest)
        for rows in (self.rpn, self.box, self.mask):
            check_network(rows or (), self.channels, cells)

    def _all_rows(self) -> list[tuple[Block, ...]]:
        heads = (self.rpn, self.box, self.mask, self.keypoints)
        return [*self.trunk, *(rows for rows in heads if rows is not None)]

    @property
    def channels(self) -> int:
        """Channels of the maps that the heads take."""
        return self.fpn or self.trunk[-1][-1].channels


def parts_of(architecture: Architecture) -> Parts:
    """Cut a searched architecture into the parts of a detector.

    - trunk: everything before the last downsampling, at the stride that results
    - RPN tower: the trunk's last row, repeated with stride 1
    - box head: everything from the last downsampling on, without the classifier's head
    - mask head: as published for the dsmask detectors, at the width that C5 starts with

    Raises `SpecError` for an architecture with upsampling or with fewer than two downsamplings.
    """
    rows = [(stage, row) for stage, rows in enumerate(architecture.spatial_stages()) for row in rows]
    _check(architecture, [row for _, row in rows])
    cut = max(index for index, (_, row) in enumerate(rows) if row.stride == 2)
    trunk: dict[int, list[Block]] = {}
    for stage, row in rows[:cut]:
        trunk.setdefault(stage, []).append(row)
    box = tuple(row for _, row in rows[cut:])
    last = rows[cut - 1][1]
    return Parts(
        name=architecture.name,
        norm_eps=architecture.norm_eps,
        norm_momentum=architecture.norm_momentum,
        trunk=tuple(tuple(stage) for stage in trunk.values()),
        rpn=(last.model_copy(update={"stride": 1, "padding": None}),),
        box=box,
        mask=_mask_rows(box[0].channels, last),
    )


def _check(architecture: Architecture, rows: list[Block]) -> None:
    name = architecture.name
    if architecture.in_channels != 3:
        raise SpecError(f"a detector sees RGB images, {name} has {architecture.in_channels} input channels")
    if any(row.stride == -2 for row in rows):
        raise SpecError(f"{name} upsamples, so it has no last downsampling to cut a detector at")
    halvings = sum(row.stride == 2 for row in rows)
    if halvings < 2:
        rule = "a detector needs an architecture with 2 downsamplings or more"
        raise SpecError(f"{rule}, {name} has {halvings}")


def _mask_rows(width: int, style: Block) -> tuple[Block, ...]:
    """Return the published mask head (dsmask), which halves a region once and doubles it twice."""

    def row(channels: int, expansion: int, stride: int = 1, repeats: int = 1) -> Block:
        return Block(
            op="mbconv",
            channels=channels,
            kernel=3,
            expansion=expansion,
            stride=stride,
            repeats=repeats,
            activation=style.activation,
            depthwise=style.depthwise,
        )

    half = int(hidden_width(width, 0.5))
    return (
        row(width, 4, stride=2),
        row(width, 6, repeats=2),
        row(width, 6, stride=-2),
        row(half, 3, stride=-2),
    )


def with_mask_head(parts: Parts) -> Parts:
    """The same detector with its mask head or, if it has none, with the one that `parts_of` makes."""
    if parts.mask is not None:
        return parts
    return parts.replace(mask=_mask_rows(parts.box[0].channels, parts.trunk[-1][-1]))


def by_downsampling(stages: Iterable[Iterable[_AnyRow]]) -> tuple[tuple[_AnyRow, ...], ...]:
    """The rows of a trunk in stages that begin with a downsampling each, except the first."""
    grouped: list[list[_AnyRow]] = []
    for row in (row for stage in stages for row in stage):
        if row.stride == 2 or not grouped:
            grouped.append([])
        grouped[-1].append(row)
    return tuple(map(tuple, grouped))


def by_stages(parts: Parts) -> Parts:
    """The same detector, whose trunk has a stage for every downsampling, as in every space."""
    if parts.fpn is not None:
        return parts
    return parts.model_copy(update={"trunk": by_downsampling(parts.trunk)})
