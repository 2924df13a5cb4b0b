"""The arguments of ``nars detect train``: the detector of ARCH, and the recipe that trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detector.space.candidate import DetectorCandidate
from detector.training.hyperparameters import Training

if TYPE_CHECKING:
    from detector.weights.saved import SavedDetector
    from nars.spec import Architecture, Recipe

__all__ = ["Source", "source_in", "training_of"]

_SCENES = "digit-scenes"
"""The data set that comes with nars. It is not mirrored unless asked: a mirrored digit is not a digit."""


@dataclass(frozen=True)
class Source:
    """The content of ARCH."""

    detector: Architecture | DetectorCandidate | SavedDetector | str
    """The first argument of `plan`; a name is that of a published detector."""
    recipe: Recipe | Training | None = None
    """The recipe in ARCH, if there is one."""
    data: str | None = None
    """The data named in ARCH, if there are any."""


def source_in(arch: str) -> Source:
    """Read ARCH, or look up its name. Raises `UsageError`, `SpecError`, `WeightsError`."""
    from nars.documents import is_yaml, kind_of, read_text
    from nars.searching import catalogue
    from nars.spec import Candidate, read

    if is_yaml(arch):
        if kind_of(read_text(arch), arch) == DetectorCandidate.kind:
            found = DetectorCandidate.load(arch)
            return Source(found, found.recipe, found.data)
        document = read(arch)
        if isinstance(document, Candidate):
            return Source(document.architecture, document.recipe, document.data)
        return Source(catalogue.candidate(arch).architecture)
    if arch in catalogue.published_names():
        return Source(catalogue.candidate(arch).architecture)
    if arch.lower().endswith((".pt", ".safetensors")):
        from detector.weights.saved import load_detector

        saved = load_detector(arch)
        return Source(saved, data=saved.data)
    _check_published(arch, catalogue.published_names())
    return Source(arch)


def _check_published(name: str, architectures: list[str]) -> None:
    """Raise `UsageError` unless a published detector has this name."""
    from detector.model import catalogue
    from nars.errors import UsageError, closest

    try:
        catalogue.published(name)
    except UsageError:
        hint = closest(name, (*catalogue.names(), *architectures))
        raise UsageError(f"no detector or architecture is called {name!r}: {hint}") from None


def training_of(
    recipe_file: str | None,
    recipe: Recipe | Training | None,
    data: str,
    options: dict[str, Any],
    *,
    default: Training | None = None,
) -> tuple[Training, tuple[str, ...]]:
    """The recipe's settings, overridden by the options, and the recipe's fields that do not apply.

    Without a recipe the settings are those of `default`, whose rate is not for another optimizer.
    """
    if recipe_file is not None:
        recipe = _recipe_in(recipe_file)
    if isinstance(recipe, Training):
        return recipe.replace(**options), ()
    if data == _SCENES:
        options = {"flip": 0.0} | options
    if recipe is None:
        default = default or Training()
        if options.get("optimizer", default.optimizer) != default.optimizer:
            options = {"lr": None} | options
        return default.replace(**options), ()
    return Training.of_recipe(recipe).replace(**options), Training.unused(recipe)


def _recipe_in(file: str) -> Recipe | Training:
    """The recipe in a file, which may be that of a searched detector. Raises `UsageError`, `SpecError`."""
    from nars.documents import is_yaml, kind_of, read_text
    from nars.searching import catalogue

    if is_yaml(file) and kind_of(read_text(file), file) == DetectorCandidate.kind:
        return DetectorCandidate.load(file).recipe
    return catalogue.recipe(file)
