"""The way from a genotype to the detector that it describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detector.model.parts import Parts
from detector.model.resizing import longest
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.declaration import Declaration
from detector.training.hyperparameters import LR, Training
from nars.errors import SpecError
from nars.foreign.limits import MOST_ANCHORS
from nars.space.rows import RowSpace
from nars.spec import Block

__all__ = ["OF_SETTINGS", "RECIPE", "anchors", "decode"]

OF_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "box_samples": ("box_samples",),
    "rpn_samples": ("rpn_samples",),
    "box_iou": ("box_background_iou", "box_object_iou"),
    "rpn_iou": ("rpn_object_iou",),
    "freeze": ("freeze",),
}
"""Values of a space's recipe that are settings of the detector, but matter for its training only."""

_OF_SEARCHES = ("lr_images", "evaluate_every")
"""Fields of a recipe that all searches share: rates are for 16 images a step, and every epoch is measured."""

RECIPE = (*(name for name in Training.model_fields if name not in _OF_SEARCHES), *OF_SETTINGS)
"""Values that the recipe of a space may have. ``jitter`` is a number j: sizes vary by 1 - j to 1 + j."""

_FINEST = 32.0
"""The least default anchor on C4, in pixels; a training fits anchors to its boxes."""


def decode(space: Declaration, values: Mapping[str, Any], name: str) -> DetectorCandidate:
    """The candidate, called `name`, of all values of a space by flat name."""
    parts = _parts(space, values, name)
    return DetectorCandidate(
        architecture=parts, settings=_settings(space, parts, values), recipe=_recipe(space, values)
    )


def anchors(maps: int, sizes: int, ratios: int) -> dict[str, Any]:
    """Default anchors of this number; those of one map lie within an octave if there are several.

    Raises `SpecError` for more than a detector may have.
    """
    if sizes * ratios > MOST_ANCHORS:
        raise SpecError(f"there are {sizes * ratios} anchors at a cell, more than {MOST_ANCHORS}")
    spread = 2 if maps > 1 else 5
    first = _FINEST / 4 if maps > 1 else _FINEST
    of_map = [
        tuple(first * 2**level * spread ** (at / max(sizes - (maps == 1), 1)) for at in range(sizes))
        for level in range(maps)
    ]
    shape = {1: (1.0,), 2: (0.7, 1.4)}
    given = shape.get(ratios) or tuple(2 ** (2 * at / (ratios - 1) - 1) for at in range(ratios))
    return {"anchor_sizes": tuple(of_map), "anchor_ratios": given}


def _parts(space: Declaration, values: Mapping[str, Any], name: str) -> Parts:
    style = space.styles.get(str(values["style"])) if space.styles else None

    def blocks(part: Sequence[RowSpace]) -> tuple[Block, ...]:
        made = [block for row in part for block in row.rows(values)]
        return tuple(made if style is None else map(style.applied, made))

    return Parts(
        name=name,
        norm_eps=space.norm_eps if style is None else style.norm_eps,
        norm_momentum=space.norm_momentum if style is None else style.norm_momentum,
        trunk=tuple(blocks(stage) for stage in space.trunk),
        rpn=blocks(space.rpn),
        box=blocks(space.box),
        mask=blocks(space.mask) if space.mask else None,
        fpn=values["fpn"],
    )


def _settings(space: Declaration, parts: Parts, values: Mapping[str, Any]) -> Settings:
    resolution = _whole(values, "resolution")
    maps = 1 if parts.fpn is None else len(parts.trunk)
    fields: dict[str, Any] = {
        "shortest": (resolution,),
        "longest": longest(resolution),
        "pooler_resolution": values["pooler_resolution"],
        "test_proposals": values["proposals"],
        "mask": bool(space.mask),
        **anchors(maps, _whole(values, "sizes"), _whole(values, "ratios")),
    }
    for key, names in OF_SETTINGS.items():
        if key in space.recipe:
            fields |= dict.fromkeys(names, values[f"recipe.{key}"])
    return Settings(**fields)


def _whole(values: Mapping[str, Any], name: str) -> int:
    """A value that is an integer. Raises `SpecError` for another one."""
    value = values[name]
    if not isinstance(value, int | float) or not float(value).is_integer():
        raise SpecError(f"{name} is {value!r}, which is no integer")
    return int(value)


def _recipe(space: Declaration, values: Mapping[str, Any]) -> Training:
    fields = {key: values[f"recipe.{key}"] for key in space.recipe if key not in OF_SETTINGS}
    if "lr" in fields:
        factor = space.lr_factor.get(fields.get("optimizer", "sgd"), 1.0)
        fields["lr"] = (LR["sgd"] if fields["lr"] is None else fields["lr"]) * factor
    if fields.get("jitter") is not None:
        fields["jitter"] = (round(1 - fields["jitter"], 9), round(1 + fields["jitter"], 9))
    return Training(**fields)
