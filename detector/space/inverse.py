"""The way back from a detector to its genotype: the inverse of `detector.space.decoding`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from detector.model.parts import Parts, by_downsampling
from detector.model.resizing import longest
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.declaration import Declaration
from detector.space.decoding import OF_SETTINGS
from detector.training.hyperparameters import LR, Training
from nars.errors import SpecError
from nars.space.genotypes import Genotype
from nars.space.inverse import allows, encode_stage
from nars.space.rows import RowSpace
from nars.spec import Block

__all__ = ["encode", "encode_recipe"]


def encode(space: Declaration, candidate: DetectorCandidate) -> Genotype:
    """The genotype that decodes to the same detector and recipe, whose anchors count by their number.

    Raises `SpecError` that names the first dimension outside the space.
    """
    settings = candidate.settings
    values: dict[str, Any] = {
        "resolution": max(settings.shortest),
        "pooler_resolution": settings.pooler_resolution,
        "proposals": settings.test_proposals,
        "sizes": len(settings.anchor_sizes[0]),
        "ratios": len(settings.anchor_ratios),
        "fpn": candidate.architecture.fpn,
    }
    if settings.longest != longest(max(settings.shortest)):
        raise SpecError(f"longest = {settings.longest} is outside space {space.name}")
    values |= _encode_parts(space, candidate.architecture)
    values |= encode_recipe(space, candidate.recipe, settings)
    for name, value in values.items():
        if not allows(space, name, value):
            raise SpecError(f"{name} = {value!r} is outside space {space.name}")
    return {name: values[name] for name in space.distributions}


def _encode_parts(space: Declaration, parts: Parts) -> dict[str, Any]:
    """The values of the rows and of the style. Raises `SpecError` for a part outside the space."""
    problems: list[tuple[int, str]] = []  # how many values were encoded until then
    for name in space.styles or [None]:
        values: dict[str, Any] = {"style": name}
        try:
            for part, rows, blocks in _stages(space, parts):
                values |= _encode_part(space, part, rows, blocks, name)
        except SpecError as error:
            problems.append((len(values), str(error)))
            continue
        norms = space.styles[name] if name is not None else space
        if (parts.norm_eps, parts.norm_momentum) == (norms.norm_eps, norms.norm_momentum):
            return values
        problems.append((len(values), f"norm_eps = {parts.norm_eps} is outside space {space.name}"))
    raise SpecError(max(problems)[1])


def _stages(space: Declaration, parts: Parts) -> Iterator[tuple[str, Sequence[RowSpace], list[Block]]]:
    """Parts of the space with their blocks; trunks are grouped anew, at every downsampling.

    The stages themselves matter only to a pyramid, which has a map for each.
    """
    own, theirs = parts.trunk, space.trunk
    if parts.fpn is None:
        own, theirs = by_downsampling(own), by_downsampling(theirs)
    if len(own) != len(theirs):
        raise SpecError(f"{len(own)} stages of the trunk; space {space.name} has {len(theirs)}")
    for index, (rows, blocks) in enumerate(zip(theirs, own, strict=True)):
        yield f"stage {index} of the trunk", rows, _blocks(blocks)
    yield "RPN tower", space.rpn, _blocks(parts.rpn)
    yield "box head", space.box, _blocks(parts.box)
    if space.mask:
        if parts.mask is None:
            raise SpecError(f"no mask head; the detectors of space {space.name} have one")
        yield "mask head", space.mask, _blocks(parts.mask)


def _encode_part(
    space: Declaration, part: str, rows: Sequence[RowSpace], blocks: list[Block], style: str | None
) -> dict[str, Any]:
    if style is not None:
        changed = [space.styles[style].applied(block) for block in blocks]
        if changed != blocks:
            raise SpecError(f"the {part} is in no style of space {space.name}")
        # The rows of a space with styles leave to the style what these fields say.
        plain = ("activation", "squeeze", "depthwise", "bias", "padding")
        defaults = {name: Block.model_fields[name].default for name in plain}
        blocks = [block.replace(**defaults) for block in blocks]
    dealt = encode_stage(space, rows, blocks)
    if dealt is None:
        raise SpecError(f"the {part} is outside space {space.name}")
    return dealt


def _blocks(rows: Sequence[Block]) -> list[Block]:
    return [row.single(repeat) for row in rows for repeat in range(row.repeats)]


def encode_recipe(space: Declaration, recipe: Training, settings: Settings) -> dict[str, Any]:
    """The values of the space's recipe, in range or not, of which some are settings of the detector."""
    values: dict[str, Any] = {}
    for key in space.recipe:
        if key in OF_SETTINGS:
            values[f"recipe.{key}"] = getattr(settings, OF_SETTINGS[key][0])
        elif key == "jitter":
            values["recipe.jitter"] = round(recipe.jitter[1] - 1, 9)
        elif key == "lr":
            rate = LR[recipe.optimizer] if recipe.lr is None else recipe.lr
            values["recipe.lr"] = rate / space.lr_factor.get(recipe.optimizer, 1.0)
        else:
            values[f"recipe.{key}"] = getattr(recipe, key)
    return values
