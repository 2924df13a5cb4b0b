"""Network Architecture-Recipe Search: find, train and deploy compact vision models.

The names below are the library's entry points. Each is imported at its first use, so
`import nars` alone imports neither torch nor optuna.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # "as" tells type checkers that the package exports the name
    from nars.api import SearchResult as SearchResult
    from nars.api import search as search
    from nars.networks.build import build as build
    from nars.networks.build import features as features
    from nars.runs.request import SearchRequest as SearchRequest
    from nars.sampling.parameters.costs import each as each
    from nars.sampling.sampler import NarsSampler as NarsSampler
    from nars.space import Space as Space
    from nars.space import genotypes as genotypes
    from nars.space.cost import count as count
    from nars.space.costs import Cost as Cost
    from nars.spec import Architecture as Architecture
    from nars.spec import Block as Block
    from nars.spec import Candidate as Candidate
    from nars.spec import Recipe as Recipe

    __version__: str

_NAMES = {
    "nars.api": ("SearchResult", "search"),
    "nars.networks.build": ("build", "features"),
    "nars.sampling.parameters.costs": ("each",),
    "nars.sampling.sampler": ("NarsSampler",),
    "nars.runs.request": ("SearchRequest",),
    "nars.space": ("Space", "genotypes"),
    "nars.space.cost": ("count",),
    "nars.space.costs": ("Cost",),
    "nars.spec": ("Architecture", "Block", "Candidate", "Recipe"),
}
"""The public names, by the module that defines them."""

_MODULES = {name: module for module, names in _NAMES.items() for name in names}
"""The module that defines each public name."""

__all__ = sorted(_MODULES)  # noqa: PLE0605 - a list, made from the table above


if not TYPE_CHECKING:  # type checkers shall refuse names that are not listed

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return version("nars")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
