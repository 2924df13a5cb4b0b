"""The published detectors by name.

Source: the D2Go model zoo (facebookresearch/d2go at f4ac156).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from detector.model.parts import Parts
from detector.model.settings import Settings
from nars.errors import UsageError, closest
from nars.spec import read_yaml

__all__ = ["names", "published", "published_settings"]

_FILE = Path(__file__).with_name("published.yaml")

_STYLE = {"activation": "relu", "squeeze": "hidden", "depthwise": "bare"}
"""Of every block of the published detectors."""


def names() -> tuple[str, ...]:
    """All published detectors, the smaller first within a family."""
    return tuple(_rows())


@cache
def published(name: str) -> Parts:
    """The parts of a published detector.

    The name of its D2Go configuration (``faster_rcnn_fbnetv3a_C4.yaml``) means the same.
    Raises `UsageError` that names the closest one.
    """
    known = _known(name)
    fields = {key: value for key, value in _rows()[known].items() if key != "settings"}
    styled = {key: _styled(value) if isinstance(value, list) else value for key, value in fields.items()}
    return Parts.of({"name": known} | styled)


@cache
def published_settings(name: str) -> Settings:
    """The settings it was published with; for a ``mask_rcnn_`` configuration with its mask head."""
    known = _known(name)
    return Settings.of(_rows()[known].get("settings", {}) | {"mask": name.lower().startswith("mask_rcnn_")})


@cache
def _rows() -> dict[str, Any]:
    rows: dict[str, Any] = read_yaml(_FILE, "detectors")["detectors"]
    return rows


def _known(name: str) -> str:
    plain = name.lower().removesuffix(".yaml").removeprefix("faster_rcnn_").removeprefix("mask_rcnn_")
    if plain not in _rows():
        raise UsageError(f"no published detector is called {name!r}: {closest(plain, _rows())}")
    return plain


def _styled(rows: Any) -> Any:
    if isinstance(rows, list):
        return [_styled(row) for row in rows]
    return _STYLE | rows
