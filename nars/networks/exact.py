"""Loads weights into a network that must be equal to the one they were trained in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from nars.documents import Frozen
from nars.errors import WeightsError
from nars.networks.weights import Weights, load_into
from nars.spec import Architecture

__all__ = ["load_exactly"]


def load_exactly(
    model: nn.Module, architecture: Architecture, classes: Sequence[str], trained: Weights
) -> None:
    """Load `trained` into the network `model` of this architecture for these classes.

    Only the name and the resolution, which change no tensor, may differ. Raises `WeightsError` with the first
    difference.
    """
    theirs = trained.candidate.architecture.replace(
        name=architecture.name, resolution=architecture.resolution
    )
    difference = _difference("", theirs, architecture)
    difference = difference or _difference("classes", trained.classes, tuple(classes))
    if difference is not None:
        raise WeightsError(f"{trained.source} is of another network: {difference}; --init inherits what fits")
    load_into(model, trained.state, trained.source)


def _difference(name: str, theirs: Any, mine: Any) -> str | None:
    """The first difference between two values of one type in words; None if there is none."""
    if isinstance(theirs, Frozen):
        keys = type(theirs).model_fields
        pairs = [(f"{name}.{key}" if name else key, getattr(theirs, key), getattr(mine, key)) for key in keys]
    elif isinstance(theirs, tuple):
        if len(theirs) != len(mine):
            return f"it has {len(theirs)} {name}, expected {len(mine)}"
        pairs = [(f"{name}[{at}]", *pair) for at, pair in enumerate(zip(theirs, mine, strict=True))]
    else:
        return None if theirs == mine else f"{name} is {theirs!r}, expected {mine!r}"
    return next(filter(None, (_difference(*pair) for pair in pairs)), None)
