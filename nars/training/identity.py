"""Tells a training from another one by the values that decide its result."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nars.foreign.limits import load_yaml

__all__ = ["difference"]

_MOST, _LONGEST = 3, 80
"""Differences that a message names, and characters of a value in it."""

_HEAD = ("kind", "schema")
"""Fields at the top of every document."""


def difference(
    saved: Mapping[str, Any], identity: Mapping[str, Any], earlier: Mapping[str, Collection[Any]]
) -> str | None:
    """Where the identity that was saved is not that of this training, in words; None if they are the same.

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
    """The fields of a document's text; None for any other value."""
    if not isinstance(value, str) or "\n" not in value:
        return None
    try:
        fields = load_yaml(value)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


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
