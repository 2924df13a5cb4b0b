"""Makes a space of detectors of a space of classifiers.

It is cut as `detector.model.parts.parts_of` cuts an architecture: the box head begins with the last
downsampling. The RPN tower is the trunk's last row, whose dimensions it has for itself.
"""

from __future__ import annotations

from typing import Any

from detector.model.parts import by_downsampling
from detector.space.decoding import OF_SETTINGS, RECIPE
from detector.space.space import DetectorSpace
from nars.errors import SpecError, UsageError
from nars.space import Space
from nars.space.rows import RowSpace
from nars.space.values import Value

__all__ = ["of_classifiers"]

_OWN = ("pooler_resolution", "proposals", "sizes", "ratios")
"""Dimensions of a detector that a space of classifiers has nothing like."""


def of_classifiers(space: Space, heads: DetectorSpace, resolution: Value) -> DetectorSpace:
    """The detectors with the trunks and box heads of a space of classifiers, at these shorter sides.

    The recipe keeps what a detector's has, too. `heads` has the dimensions that a classifier has not.
    Raises `UsageError` for networks that no detector can be cut from.
    """
    trunk, box = _cut(space)
    tower = trunk[-1][-1].replace(name="rpn", stride=1, padding=None)
    recipe = {key: value for key, value in space.recipe.items() if key in RECIPE and key not in OF_SETTINGS}
    recipe.pop("batch_size", None)
    mirrored = space.recipe.get("augmentation", "shift") in ("flip", "flip_shift")
    fields: dict[str, Any] = {name: getattr(heads, name) for name in _OWN}
    try:
        return DetectorSpace(
            name=space.name,
            num_classes=space.num_classes,
            resolution=resolution,
            norm_eps=space.norm_eps,
            norm_momentum=space.norm_momentum,
            trunk=trunk,
            rpn=(tower,),
            box=box,
            mask=[row.replace(activation=tower.activation) for row in heads.mask],
            recipe={"flip": 0.5 if mirrored else 0.0} | recipe,
            lr_factor=space.lr_factor,
            **fields,
        )
    except SpecError as error:
        raise UsageError(f"space {space.name} makes no detectors: {error}") from None


def _cut(space: Space) -> tuple[tuple[tuple[RowSpace, ...], ...], list[RowSpace]]:
    """The trunk, in a stage for each downsampling, and the box head."""
    if space.in_channels != 3:
        takes = f"space {space.name} has {space.in_channels} input channels"
        raise UsageError(f"a detector sees RGB images, {takes}")
    stages = [[row for row in stage if row.op != "mbpool"] for stage in space.stages]
    stages = [stage for stage in stages if stage]
    if len(stages) > 1 and [(row.op, row.kernel, row.stride) for row in stages[-1]] == [("conv", 1, 1)]:
        stages.pop()
    rows = [row for stage in stages for row in stage]
    halving = [index for index, row in enumerate(rows) if row.stride == 2]
    if len(halving) < 2:
        has = f"space {space.name} has {len(halving)}"
        raise UsageError(f"a detector needs networks with 2 downsamplings or more, {has}")
    return by_downsampling([rows[: halving[-1]]]), rows[halving[-1] :]
