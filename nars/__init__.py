"""Network Architecture-Recipe Search: find, train and deploy compact vision models.

The names below are the library's entry points. Each is imported at its first use, so that
`import nars` alone imports neither torch nor optuna.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nars.network import build, features
    from nars.spec import Architecture, Block, Candidate, Recipe

__all__ = ["Architecture", "Block", "Candidate", "Recipe", "build", "features"]

_HOMES = {
    "Architecture": "nars.spec",
    "Block": "nars.spec",
    "Candidate": "nars.spec",
    "Recipe": "nars.spec",
    "build": "nars.network",
    "features": "nars.network",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
