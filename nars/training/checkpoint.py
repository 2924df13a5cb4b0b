"""Checkpoints of a training: everything that its next step depends on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch

from nars.errors import RunError, WeightsError
from nars.tensors import read_tensors, write_tensors

__all__ = ["Stateful", "restore", "save"]


class Stateful(Protocol):
    """A network, an optimizer, a gradient scaler."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any, /) -> Any: ...


def save(
    path: Path | None,
    identity: Mapping[str, Any],
    parts: Mapping[str, Stateful],
    generator: torch.Generator,
    device: torch.device,
    curve: Sequence[Mapping[str, Any]],
) -> None:
    """Write the states of `parts`, of `generator` and of the global generators, whole or not at all.

    `identity` tells this training from others; `curve` has an entry for each epoch done. Without a
    `path` nothing is written. Raises `RunError`.
    """
    if path is None:
        return
    content = {
        "identity": dict(identity),
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "generator": generator.get_state(),
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "curve": [dict(entry) for entry in curve],
    }
    write_tensors(path, content)


def restore(
    path: Path | None,
    identity: Mapping[str, Any],
    parts: Mapping[str, Stateful],
    generator: torch.Generator,
    device: torch.device,
    earlier: Mapping[str, Collection[Any]] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Put the states of `save` back and return its `curve`; an empty one if there is no file.

    `earlier` are values that older versions gave to keys of `identity`.
    Raises `RunError` if the file belongs to another training, with the first difference, or
    cannot be read.
    """
    if path is None or not path.exists():
        return []
    try:
        content = read_tensors(path)
        saved = content["identity"]
    except (WeightsError, KeyError, TypeError):
        raise RunError(f"{path} is not a checkpoint that can be read; delete it to start anew") from None
    for key, value in identity.items():
        if saved.get(key) != value and saved.get(key) not in earlier.get(key, ()):
            change = f"{key} was {saved.get(key)!r}, is {value!r}"
            raise RunError(f"{path} is of another training: {change}; delete it to start anew")
    try:
        for name, part in parts.items():
            part.load_state_dict(content["parts"][name])
    except (RuntimeError, ValueError, KeyError):
        raise RunError(f"{path} is of another network; delete it to start anew") from None
    generator.set_state(content["generator"])
    torch.set_rng_state(content["cpu"])
    if device.type == "cuda" and content["cuda"] is not None:
        torch.cuda.set_rng_state(content["cuda"], device)
    curve: list[dict[str, Any]] = content["curve"]
    return curve
