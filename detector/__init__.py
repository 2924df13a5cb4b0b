"""FBNetV3OD, the compact two-stage detector, and COCO-format data for it.

The names below are the package's entry points. Each is imported at its first use, so that
`import detector` alone imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector.assembly import build
    from detector.model.catalogue import published, published_settings
    from detector.model.detector import Detector
    from detector.model.parts import Parts, parts_of
    from detector.model.settings import Settings

__all__ = ["Detector", "Parts", "Settings", "build", "parts_of", "published", "published_settings"]

_HOMES = {
    "Detector": "detector.model.detector",
    "Parts": "detector.model.parts",
    "Settings": "detector.model.settings",
    "build": "detector.assembly",
    "parts_of": "detector.model.parts",
    "published": "detector.model.catalogue",
    "published_settings": "detector.model.catalogue",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
