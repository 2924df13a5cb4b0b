"""Looks up published detectors by name.

Source: the D2Go model zoo (facebookresearch/d2go at f4ac156).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from detector.model.parts import Parts
from detector.model.settings import Settings
from nars.documents import read_yaml
from nars.errors import UsageError, closest

__all__ = ["names", "published", "published_settings"]

_FILE = Path(__file__).with_name("published.yaml")
"""The parts and settings of every published detector."""

_STYLE = {"activation": "relu", "squeeze": "hidden", "depthwise": "bare"}
"""The fields that every block of the published detectors shares."""


def names() -> tuple[str, ...]:
    """List all published detectors, the smaller first within a family."""
    return tuple(_rows())


@cache
def published(name: str) -> Parts:
    """Return the parts of a published detector.

    The name of its D2Go configuration (``faster_rcnn_fbnetv3a_C4.yaml``) is accepted, too.
    Raises `UsageError` that names the closest known name.
    """
    plain = _plain_name(name)
    fields = {key: value for key, value in _rows()[plain].items() if key != "settings"}
    styled = {key: _styled(value) if isinstance(value, list) else value for key, value in fields.items()}
    return Parts.of({"name": plain} | styled)


@cache
def published_settings(name: str) -> Settings:
    """Return the settings of a published detector; a ``mask_rcnn_`` configuration has a mask head."""
    fields = _rows()[_plain_name(name)].get("settings", {})
    return Settings.of(fields | {"mask": name.lower().startswith("mask_rcnn_")})


@cache
def _rows() -> dict[str, Any]:
    rows: dict[str, Any] = read_yaml(_FILE, "detectors")["detectors"]
    return rows


def _plain_name(name: str) -> str:
    plain = name.lower().removesuffix(".yaml").removeprefix("faster_rcnn_").removeprefix("mask_rcnn_")
    if plain not in _rows():
        raise UsageError(f"no published detector is called {name!r}: {closest(plain, _rows())}")
    return plain


def _styled(rows: Any) -> Any:
    if isinstance(rows, list):
        return [_styled(row) for row in rows]
    return _STYLE | rows
