"""Network Architecture-Recipe Search: find, train and deploy compact vision models.

The names below are the library's entry points. Each is imported at its first use, so that
`import nars` alone imports neither torch nor optuna.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nars.api import search
    from nars.networks.build import build, features
    from nars.sampling.sampler import NarsSampler
    from nars.space import Space
    from nars.space.cost import Cost, count
    from nars.spec import Architecture, Block, Candidate, Recipe

    __version__: str

__all__ = [
    "Architecture",
    "Block",
    "Candidate",
    "Cost",
    "NarsSampler",
    "Recipe",
    "Space",
    "build",
    "count",
    "features",
    "search",
]

_HOMES = {
    "Architecture": "nars.spec",
    "Block": "nars.spec",
    "Candidate": "nars.spec",
    "Cost": "nars.space.cost",
    "NarsSampler": "nars.sampling.sampler",
    "Recipe": "nars.spec",
    "Space": "nars.space",
    "build": "nars.networks.build",
    "count": "nars.space.cost",
    "features": "nars.networks.build",
    "search": "nars.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("nars")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
