"""Gives a detector what fits of its parent's weights.

Trunk, RPN tower, box head and mask head inherit block by block as classifiers do (`nars.parents.inherit`).
An anchor takes over what the parent's nearest one has learned, and a class what the one of its name has. What
does not fit keeps its fresh weights, except in the trunk, which has to fit.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from detector.model.detector import Detector
from detector.model.parts import Parts, by_downsampling
from detector.model.settings import Settings
from detector.weights.parents import BOX, MASK, RPN, TRUNK, DetectorParent, block_names
from nars.errors import WeightsError
from nars.foreign.parts import counted
from nars.parents.alignment import streams
from nars.parents.inherit import Copying, Inheritance, same_channels
from nars.parents.parent import Parent
from nars.spec import Architecture, Block

__all__ = ["check_trunk", "inherit"]

logger = logging.getLogger(__name__)

_NEAR = math.log(1.5)
"""Largest logarithm of the factors, in size and ratio, between an anchor and the one it takes over from."""

_PYRAMID = "backbone.fpn"
"""The start of the names of a pyramid's tensors."""

_SIDE = 16
"""The resolution that parts of a detector are given, which does not matter here."""

Stages = Sequence[Sequence[Block]]


def check_trunk(parts: Parts, parent: DetectorParent) -> None:
    """Raise `WeightsError` if the stages of a trunk are not of the kind of its parent's."""
    streams(_trunk_of(parts), _trunk_of(parent.parts))


def inherit(model: Detector, parent: DetectorParent, classes: tuple[str, ...]) -> Inheritance:
    """Copy what fits of a parent into a detector, in place, and log which share of its parameters that is.

    `classes` are those that the detector tells apart. Raises `WeightsError` if the stages of the trunks
    differ in kind.
    """
    work = _Inheriting(model, parent)
    work.trunk()
    work.pyramid()
    work.proposals()
    known = _known(classes, parent.classes)
    work.box_head(known)
    if model.settings.mask:
        work.mask_head(known)
    result = work.copying.finished(classifier=len(known) > 0 and bool((known >= 0).all()))
    fresh = f"; fresh: {', '.join(work.fresh)}" if work.fresh else ""
    logger.info("inherited %.1f%% of the parameters from %s%s", 100 * result.share, parent.source, fresh)
    return result


class _Inheriting:
    """The parts of one detector, as they inherit one after the other, the trunk first."""

    def __init__(self, model: Detector, parent: DetectorParent) -> None:
        self.model, self.parent = model, parent
        self.copying = Copying(model)
        self.fresh: list[str] = []
        """Parts that keep all of their fresh weights."""
        self._maps = torch.empty(0, dtype=torch.long)

    def trunk(self) -> None:
        """Copy the trunk, and choose the channels that the heads see."""
        parts, theirs = self.model.parts, self.parent.parts
        own_names, names = (
            _names(TRUNK, each.trunk, by_downsampling(each.trunk)) for each in (parts, theirs)
        )
        original = self._part(_trunk_of(theirs), names)
        kept = self.copying.blocks(_trunk_of(parts), original, same_channels(3, 3), own_names.__getitem__)
        if parts.fpn is None and theirs.fpn is None:
            self._maps = kept
        else:  # the channels of two pyramids of one width correspond, and no others do
            self._maps = same_channels(parts.channels, parts.fpn or 0 if parts.fpn == theirs.fpn else 0)

    def pyramid(self) -> None:
        """Copy a pyramid of the parent's width, whose levels see the channels that their stages kept."""
        parts, theirs = self.model.parts, self.parent.parts
        if parts.fpn is None:
            return
        if (parts.fpn, len(parts.trunk)) != (theirs.fpn, len(theirs.trunk)):
            self.fresh.append("pyramid")
            return
        lasts = [list(block_names(TRUNK, parts.trunk[: stage + 1]))[-1] for stage in range(len(parts.trunk))]
        laterals = {
            f"{_PYRAMID}.levels.{level}.lateral.0.weight": (
                torch.arange(parts.fpn),
                self.copying.outputs[last],
            )
            for level, last in enumerate(lasts[1:])
        }
        for name, tensor in self.parent.state.items():
            if name.startswith(f"{_PYRAMID}."):
                self.copying.tensor(name, tensor, laterals.get(name, ()))

    def proposals(self) -> None:
        """Copy the RPN's tower, and its predictors for each anchor that has a counterpart."""
        kept = self._head("RPN", RPN, self.model.parts.rpn, self.parent.parts.rpn)
        if kept is None:
            return
        anchors = _nearest(self.model.settings, self.parent.settings)
        if not (anchors >= 0).any():
            self.fresh.append("RPN predictor")
        self._predictor("rpn.head.cls_logits", anchors, kept)
        self._predictor("rpn.head.bbox_pred", _deltas(anchors), kept)

    def box_head(self, known: Tensor) -> None:
        """Copy the box head and its predictors for the classes that the parent knows."""
        kept = self._head("box head", BOX, self.model.parts.box, self.parent.parts.box)
        if kept is None:
            self.fresh.append("box predictor")
        elif self._inherits("box predictor", known):
            background = torch.tensor([len(self.parent.classes)])
            self._predictor("roi_heads.box_predictor.cls_score", torch.cat([known, background]), kept)
            self._predictor("roi_heads.box_predictor.bbox_pred", _deltas(known), kept)

    def mask_head(self, known: Tensor) -> None:
        """Copy the mask head and its predictor for the classes that the parent knows."""
        parts = self.model.parts
        kept = self._head("mask head", MASK, parts.mask or (), self.parent.parts.mask or ())
        if kept is None:
            self.fresh.append("mask predictor")
        elif self._inherits("mask predictor", known):
            self._predictor("roi_heads.mask_predictor", known, kept)

    def _inherits(self, title: str, known: Tensor) -> bool:
        """Whether a predictor inherits any class; note those that it does not."""
        missing = int((known < 0).sum())
        some = missing < len(known)
        if missing or not some:
            self.fresh.append(f"{title} of {counted(missing, 'class')}" if some else title)
        return some

    def _head(self, title: str, prefix: str, rows: Sequence[Block], theirs: Sequence[Block]) -> Tensor | None:
        """Copy a head, and return the choice of its output channels; None if it does not fit."""
        parts, others = self.model.parts, self.parent.parts
        if theirs and any(name.startswith(prefix) for name in self.parent.state):
            own_names, names = (_names(prefix, [each], [each]) for each in (rows, theirs))
            child = _architecture(parts, title, [rows], parts.channels)
            original = self._part(_architecture(others, title, [theirs], others.channels), names)
            try:
                return self.copying.blocks(child, original, self._maps, own_names.__getitem__)
            except WeightsError:
                pass
        self.fresh.append(title)
        return None

    def _predictor(self, name: str, outgoing: Tensor, incoming: Tensor) -> None:
        for leaf, picks in (("weight", (outgoing, incoming)), ("bias", (outgoing,))):
            self.copying.tensor(f"{name}.{leaf}", self.parent.state.get(f"{name}.{leaf}"), picks)

    def _part(self, architecture: Architecture, names: Mapping[str, str]) -> Parent:
        """A part of the parent as a classifier without a head; `names` are those of its blocks."""
        state, importance = (_within(each, names) for each in (self.parent.state, self.parent.importance))
        return Parent(architecture, state, (), (), (), self.parent.source, importance)


def _within(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors of some blocks, given by name, by their new names, which are the keys of `names`."""
    found = {}
    for site, block in names.items():
        inside = f"{block}."
        for name, tensor in tensors.items():
            if name.startswith(inside):
                found[f"{site}.{name.removeprefix(inside)}"] = tensor
    return found


def _names(prefix: str, stages: Stages, grouped: Stages) -> dict[str, str]:
    """The names of the blocks of a part by those that they have in an architecture of `grouped` stages."""
    return dict(zip(block_names("stages", grouped), block_names(prefix, stages), strict=True))


def _trunk_of(parts: Parts) -> Architecture:
    return _architecture(parts, f"the trunk of {parts.name}", by_downsampling(parts.trunk), 3)


def _architecture(parts: Parts, title: str, stages: Stages, channels: int) -> Architecture:
    return Architecture(
        name=title,
        resolution=_SIDE,
        in_channels=channels,
        norm_eps=parts.norm_eps,
        norm_momentum=parts.norm_momentum,
        stages=tuple(map(tuple, stages)),
    )


def _known(own: Sequence[str], theirs: Sequence[str]) -> Tensor:
    """For each class the parent's of the same name; -1 if it has none."""
    numbers = {name: number for number, name in enumerate(theirs)}
    return torch.tensor([numbers.get(name, -1) for name in own], dtype=torch.long)


def _deltas(choice: Tensor) -> Tensor:
    """The choice of the four deltas of each anchor or class that is chosen; -1 for those of none."""
    return torch.where(choice[:, None] < 0, -1, 4 * choice[:, None] + torch.arange(4)).flatten()


def _nearest(own: Settings, theirs: Settings | None) -> Tensor:
    """For each anchor at a cell the parent's nearest, by size relative to the image; -1 if none is near."""
    shapes = _shapes(own)
    if theirs is None:
        return torch.full((len(shapes),), -1)
    distances = (shapes[:, None] - _shapes(theirs)[None]).abs()  # [A, parent's A, size and ratio]
    nearest = distances.sum(-1).argmin(dim=1)
    far = distances[torch.arange(len(shapes)), nearest].amax(dim=1) > _NEAR
    return torch.where(far, -1, nearest)


def _shapes(settings: Settings) -> Tensor:
    """Logarithms of size and ratio [A, 2] of the anchors at a cell of the first map, in their order."""
    side = max(settings.shortest)
    pairs = [(size / side, ratio) for size in settings.anchor_sizes[0] for ratio in settings.anchor_ratios]
    return torch.tensor(pairs, dtype=torch.float64).log()
