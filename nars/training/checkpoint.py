"""Checkpoints of a training: everything that its next step depends on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeVar

import torch

from nars import parallel
from nars.errors import RunError, WeightsError
from nars.foreign.limits import MOST_NUMBER, load_yaml
from nars.tensors import read_tensors, write_tensors

__all__ = ["Stateful", "restore", "save"]


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


_Entry = TypeVar("_Entry", bound=_Dataclass)

_DAMAGE = (RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError)
"""Exceptions that a file with other types or shapes than those of `save` raises."""

_MOST, _LONGEST = 3, 80
"""Differences that a message names, and characters of a value in it."""

_HEAD = ("kind", "schema")
"""Fields at the top of every document."""


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
    `path` nothing is written. The first of several processes does so for all, whose states are equal.
    Raises `RunError`.
    """
    if path is None or not parallel.is_first():
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
    read: Callable[[dict[str, Any]], _Entry],
    earlier: Mapping[str, Collection[Any]] = MappingProxyType({}),
) -> list[_Entry]:
    """Put the states of `save` back and `read` each entry of its `curve`; there is none without a file.

    `earlier` are values that older versions gave to keys of `identity`. All processes take what the first
    one reads.
    Raises `RunError` if the file belongs to another training, with the differences, or cannot be read.
    """
    if path is None or not parallel.agreed(path.exists()):
        return []
    try:
        content = parallel.agreed(read_tensors(path) if parallel.is_first() else {})
        other = _difference(dict(content["identity"]), identity, earlier)
        curve = [] if other else [_checked(read(_plain(entry))) for entry in content["curve"]]
    except (WeightsError, *_DAMAGE):
        raise RunError(f"{path} is not a checkpoint that can be read; delete it to start anew") from None
    if other is not None:
        remedy = "name another folder, or delete it to start anew"
        raise RunError(f"{path} is of another training: {other}; {remedy}")
    try:
        for name, part in parts.items():
            state = content["parts"][name]
            if state or not isinstance(part, torch.amp.GradScaler):  # written where no losses are scaled
                part.load_state_dict(state)
        generator.set_state(content["generator"])
        torch.set_rng_state(content["cpu"])
        if device.type == "cuda" and content["cuda"] is not None:
            torch.cuda.set_rng_state(content["cuda"], device)
    except _DAMAGE:
        raise RunError(f"{path} is of another network; delete it to start anew") from None
    return curve


def _difference(
    saved: Mapping[str, Any], identity: Mapping[str, Any], earlier: Mapping[str, Collection[Any]]
) -> str | None:
    """Say how the identity that was saved differs from that of this training; None if they are the same.

    Documents are compared field by field. `earlier` are values that older versions gave to a key.
    """
    found: list[str] = []
    for key, value in identity.items():
        old = saved.get(key)
        if bool(old == value) or old in earlier.get(key, ()):
            continue
        fields, others = _document(value), _document(old)
        if fields is None:
            found.append(f"{key} was {_short(old)}, is {_short(value)}")
        elif others is None:
            return "it trained another kind of network"
        else:
            found += _changed(others, fields)
    if not found:
        return None
    more = f", and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return "; ".join(found[:_MOST]) + more


def _document(value: Any) -> dict[str, Any] | None:
    """The fields of a document, or of its text, with nested ones by their paths; None for any other value."""
    if isinstance(value, dict):
        return _flat(value)
    if not isinstance(value, str) or "\n" not in value:
        return None
    try:
        fields = load_yaml(value)
    except ValueError:
        return None
    return _flat(fields) if isinstance(fields, dict) else None


def _flat(nested: dict[Any, Any] | list[Any], path: str = "") -> dict[str, Any]:
    """Every field by its path, such as ``stages.0.1.kernel``; a list of plain values is one field."""
    items = nested.items() if isinstance(nested, dict) else enumerate(nested)
    flat: dict[str, Any] = {}
    for name, value in items:
        is_nested = isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(item, dict | list) for item in value)
        )
        flat |= _flat(value, f"{path}{name}.") if is_nested else {f"{path}{name}": value}
    return flat


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The fields that differ; a document leaves out those that have their default value."""
    for name in dict.fromkeys([*old, *new]):
        before, after = (_field(fields, name) for fields in (old, new))
        if before != after and name not in _HEAD:
            yield f"{name} was {before}, is {after}"


def _field(fields: Mapping[str, Any], name: str) -> str:
    return _short(fields[name]) if name in fields else "the default"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _plain(entry: Any) -> dict[str, Any]:
    """Return an entry of a curve, if it has numbers and names of numbers. Raises `TypeError`."""
    numbers = [value for value in entry.values() if not isinstance(value, dict)]
    numbers += [number for value in entry.values() if isinstance(value, dict) for number in value.values()]
    if not all(number is None or isinstance(number, int | float) for number in numbers):
        raise TypeError
    if any(isinstance(number, int) and abs(number) > MOST_NUMBER for number in numbers):
        raise OverflowError
    return dict(entry)


def _checked(entry: _Entry) -> _Entry:
    """Return an entry if its fields are numbers, or numbers by name, as it declares. Raises `TypeError`."""
    for each in fields(entry):
        value, declared = getattr(entry, each.name), str(each.type)
        expected = Mapping if declared.startswith("Mapping") else int | float
        if not isinstance(value, expected) and not (value is None and declared.endswith("None")):
            raise TypeError
    return entry
