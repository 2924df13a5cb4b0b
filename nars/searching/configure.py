"""Turn a request into a `SearchConfig`: resolve its names, restrict its space, open its data."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nars import tasks
from nars.errors import UsageError
from nars.predictors.knowledge import EarlierSearch
from nars.searching.config import SearchConfig, space_difference
from nars.searching.earlier import learned
from nars.searching.request import SearchRequest, check_first_objective
from nars.searching.run import open_run
from nars.searching.wrappers import check_sampler
from nars.space import Space, feasible
from nars.space.feasible import FeasiblePart
from nars.spec import Architecture, Candidate, Recipe, read

__all__ = ["candidate", "configure", "published_names", "recipe", "what_is_left"]


def configure(request: SearchRequest) -> SearchConfig:
    """The search that `request` asks for. Its data are opened after everything else is checked.

    Raises `UsageError`, `SpecError`, `DataError`, `RunError`.
    """
    check_sampler(request.sampler, request.objectives)
    space = _space(request)
    warm_start = tuple(_earlier(folder, space) for folder in request.warm_start)
    task = tasks.load(request.task, request.data, request.device, drop_bad=request.drop_bad)
    objectives = request.objectives or (task.metric,)
    check_first_objective(request.task, task.metric, objectives[0])
    return SearchConfig(
        space=space.replace(num_classes=task.num_classes),
        task=request.task,
        data=request.data,
        data_fingerprint=task.fingerprint,
        drop_bad=request.drop_bad,
        objectives=objectives,
        limits=request.limits,
        sampler=request.sampler,
        predictor=request.predictor,
        warm_start=warm_start,
        pruner=request.pruner,
        early_stopping=request.early_stopping,
        seed=request.seed,
        budget=request.budget,
        device=request.device,
    )


def _space(request: SearchRequest) -> Space:
    space: Space = _catalogue().space(request.space)
    for part in request.fix:
        space = _hold(space, part)
    if not space.distributions:
        raise UsageError("nothing is left to search: both architecture and recipe are fixed")
    return space


def _earlier(folder: Path, space: Space) -> EarlierSearch:
    """The measurements in a run folder. Raises `UsageError` if its dimensions are not those of `space`."""
    run = open_run(folder)
    earlier = run.config.space
    if earlier.distributions != space.distributions:
        difference = space_difference(earlier, space.replace(num_classes=earlier.num_classes))
        raise UsageError(f"no warm start from {folder}: {difference}")
    return learned(run.study(), run.name, list(space.distributions))


def what_is_left(config: SearchConfig) -> FeasiblePart:
    """The part of the space within the limits, except that on latency, which has to be measured first.

    Raises `InfeasibleError` with the smallest possible values.
    """
    limits = {name: limit for name, limit in config.limits.items() if name != "latency"}
    return feasible.feasible_part(config.space, limits, np.random.default_rng(0))


def candidate(name_or_file: str) -> Candidate:
    """A candidate by the path of a YAML file, or a published architecture by name.

    An architecture alone gets the default recipe. Raises `UsageError`, `SpecError`.
    """
    if not name_or_file.endswith((".yaml", ".yml")):
        return Candidate(architecture=_catalogue().published(name_or_file))
    document = read(name_or_file)
    if isinstance(document, Candidate):
        return document
    if isinstance(document, Architecture):
        return Candidate(architecture=document)
    raise UsageError(f"{name_or_file} is a recipe: it has no architecture")


def published_names() -> list[str]:
    """The published architectures that `candidate` knows by name."""
    names: list[str] = import_module("search_spaces.catalogue").names()
    return names


def recipe(file: str) -> Recipe:
    """The recipe in a YAML file of a recipe or a candidate. Raises `UsageError`, `SpecError`."""
    document = read(file)
    if isinstance(document, Architecture):
        raise UsageError(f"{file} is an architecture: it has no recipe")
    return document.recipe if isinstance(document, Candidate) else document


def _hold(space: Space, part: str) -> Space:
    """The space with the ``recipe=FILE`` or ``arch=FILE`` of `part` held fixed."""
    what, equals, file = part.partition("=")
    if not equals or what not in ("recipe", "arch"):
        raise UsageError(f"--fix {part!r}: give recipe=FILE or arch=FILE")
    if what == "recipe":
        return space.fix(recipe=recipe(file))
    return space.fix(architecture=candidate(file).architecture)


def _catalogue() -> Any:
    """The package `search_spaces`, imported late because it is built on nars."""
    return import_module("search_spaces")
