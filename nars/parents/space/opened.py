"""The search space of a parent: all networks that it has the weights for.

The resolution, the blocks kept of each row, the share of hidden channels, the width of each residual
stream and of the head, and the kernels are open, each from a fraction of the parent's value up to it. So
every candidate inherits all of its weights, and the parent itself is inside. (Since widths are rounded, a
block can have a few hidden channels more than its parent's; those start fresh.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nars.networks.build import smallest_side
from nars.space import Space
from nars.space.cost import count
from nars.spec import Architecture, Block

__all__ = ["open_rows", "space_of"]

_LEAST_SIDE, _SIDE_STEP = 32, 16
"""The smallest resolution in pixels, and the step between resolutions."""

_USEFUL_SIDE, _USEFUL_MACS = 96, 3.0
"""Resolutions above this one, in pixels, are left out if the parent exceeds the limit there by more than this
factor: a search has better use for its trainings than networks of which less than a third is left."""

_KERNELS = (3, 5, 7)
"""Kernels that have another one at their centre, and those."""

_RECIPE: dict[str, Any] = {
    "optimizer": "sgd",
    "lr": {"low": 0.02, "high": 0.12, "log": True},
    "weight_decay": {"low": 1e-5, "high": 1e-3, "log": True},
    "epochs": {"low": 2, "high": 8, "step": 2},
    "batch_size": 32,
    "ema": True,
    "ema_decay": {"low": 0.97, "high": 0.995},
    "label_smoothing": {"low": 0.0, "high": 0.15},
    "dropout": 0.1,
    "augmentation": "flip",
    "crop_area": {"low": 0.3, "high": 0.9},
    "policy": ["none", "trivial_augment", "rand_augment"],
    "magnitude": {"low": 3, "high": 9, "step": 2},
    "erasing": {"low": 0.0, "high": 0.3},
    "cutmix": {"low": 0.0, "high": 0.2},
    "layer_decay": {"low": 0.7, "high": 1.0},
    "frozen": [0.0, 0.25, 0.5],
    "distill": {"low": 0.0, "high": 0.9},
}
"""Recipes of short trainings that start from weights. They are narrow around what works (SGD at a rate of
0.05, an average of 0.99, crops of half the area or more), so the first random candidates are decent."""


def space_of(architecture: Architecture, side: int | None = None, macs: float | None = None) -> Space:
    """The space of the networks that can inherit every weight from a parent of this architecture.

    Resolutions end at the parent's or, if that is smaller, at the first that images of `side` pixels do not
    exceed; and, within a limit of `macs`, where the parent has three times as many, but not below 96 pixels.
    Raises `SpecError` for an architecture that upsamples.
    """
    last = len(architecture.stages) - 1
    stages = []
    for index, stage in enumerate(architecture.stages):
        is_head = index == last and _is_head(stage[0]) and len(list(_streams(stage))) == 1
        stages.append(open_rows("head" if is_head else "stem" if index == 0 else f"stage{index}", stage))
    least = max(_LEAST_SIDE, smallest_side(architecture.stages))
    return Space(
        name=f"from_{architecture.name}",
        resolution=_range(_most(architecture, least, side, macs), least, _SIDE_STEP),
        in_channels=architecture.in_channels,
        norm_eps=architecture.norm_eps,
        norm_momentum=architecture.norm_momentum,
        stages=stages,
        recipe=_RECIPE,
    )


def open_rows(name: str, stage: Sequence[Block]) -> list[dict[str, Any]]:
    """The open rows of a stage or another part of a network; those of several are numbered."""
    streams = list(_streams(stage))
    names = [name] if len(streams) == 1 else [f"{name}_{number}" for number in range(len(streams))]
    return [_row(*pair) for pair in zip(names, streams, strict=True)]


def _streams(stage: Sequence[Block]) -> Iterator[list[Block]]:
    """The rows of a stage; two are one if they differ only in the kernel and expansion of the first block."""
    rows = list(stage)
    while rows:
        first, *others = rows
        is_pair = bool(others) and first.repeats == 1 and _rest_of(first, others[0]) == others[0]
        yield rows[: 1 + is_pair]
        rows = rows[1 + is_pair :]


def _rest_of(first: Block, rest: Block) -> Block:
    """The blocks after `first` in one row with it that have the kernel, expansion and number of `rest`."""
    changes = {"kernel": rest.kernel, "expansion": rest.expansion, "repeats": rest.repeats}
    return first.single(1).model_copy(update=changes)


def _is_head(row: Block) -> bool:
    return row.op == "mbpool" or (row.op == "conv" and row.kernel == 1)


def _row(name: str, stream: Sequence[Block]) -> dict[str, Any]:
    """The open row of one or two rows of one width."""
    first, rest = stream[0], stream[-1]
    fields = first.model_dump(exclude_defaults=True, exclude={"channels", "kernel", "expansion", "repeats"})
    width = first.channels
    step = width // 8 if _is_head(first) and width % 64 == 0 else 8
    fields |= {"name": name, "channels": _range(width, width // 2, step)}
    if first.kernel is not None:
        fields["kernel"] = _first_rest(_kernels(first), _kernels(rest))
    if first.expansion is not None:
        fields["expansion"] = _first_rest(_expansions(first), _expansions(rest))
    if first.op != "mbpool":
        fields["depth"] = _range(sum(row.repeats for row in stream), 1, 1)
    return fields


def _first_rest(first: Any, rest: Any) -> Any:
    return first if first == rest else {"first": first, "rest": rest}


def _kernels(row: Block) -> Any:
    """The kernels at the centre of a row's, and its own; a padding that was set allows only its own."""
    assert row.kernel is not None
    smaller = [kernel for kernel in _KERNELS if kernel <= row.kernel]
    return smaller if len(smaller) > 1 and not isinstance(row.padding, int) else row.kernel


def _expansions(row: Block) -> Any:
    """The expansions from a quarter of a row's to its own, in eighths.

    All are above 1: without a 1x1 expansion, hidden channels are those of the input and nothing is inherited.
    """
    assert row.expansion is not None
    if row.expansion <= 1:
        return row.expansion
    whole = float(row.expansion)
    low = next(whole * eighths / 8 for eighths in range(2, 9) if whole * eighths / 8 > 1)
    return whole if low == whole else {"low": low, "high": whole, "step": whole / 8}


def _most(architecture: Architecture, least: int, side: int | None, macs: float | None) -> int:
    """The largest resolution of the space, whole steps down from the parent's."""

    def is_useful(resolution: int) -> bool:
        if side is not None and resolution >= side + _SIDE_STEP:
            return False
        if macs is None or resolution < _USEFUL_SIDE + _SIDE_STEP:
            return True
        return count(architecture.replace(resolution=resolution)).macs <= _USEFUL_MACS * macs

    sides = range(architecture.resolution, least - 1, -_SIDE_STEP)
    smallest = sides[-1] if sides else architecture.resolution
    return next((resolution for resolution in sides if is_useful(resolution)), smallest)


def _range(high: int, least: int, step: int) -> Any:
    """The numbers from `least` to `high` in whole steps down from it; `high` itself if there is no other."""
    low = high - step * max(0, (high - least) // step)
    return high if low == high else {"low": low, "high": high, "step": step}
