"""FBNetV3OD, the compact two-stage detector, and the detection data it is trained on.

The names below are the package's entry points. Each is imported at its first use, so
`import detector` alone imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # "as" tells type checkers that the package exports the name
    from detector.assembly import build as build
    from detector.model.catalogue import published as published
    from detector.model.catalogue import published_settings as published_settings
    from detector.model.detector import Detector as Detector
    from detector.model.parts import Parts as Parts
    from detector.model.parts import parts_of as parts_of
    from detector.model.settings import Settings as Settings

_NAMES = {
    "detector.assembly": ("build",),
    "detector.model.catalogue": ("published", "published_settings"),
    "detector.model.detector": ("Detector",),
    "detector.model.parts": ("Parts", "parts_of"),
    "detector.model.settings": ("Settings",),
}
"""The public names, by the module that defines them."""

_MODULES = {name: module for module, names in _NAMES.items() for name in names}
"""The module that defines each public name."""

__all__ = sorted(_MODULES)  # noqa: PLE0605 - a list, made from the table above


if not TYPE_CHECKING:  # type checkers shall refuse names that are not listed

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
