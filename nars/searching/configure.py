"""Turn a request into a `SearchConfig`: resolve its names, restrict its space, open its data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nars import tasks
from nars.errors import UsageError, WeightsError
from nars.predictors.knowledge import EarlierSearch
from nars.runs.config import SearchConfig, space_difference
from nars.runs.reference import reference_of, sides
from nars.runs.request import AUTO, SearchRequest, check_first_objective
from nars.runs.run import Run, default_folder, open_run
from nars.searching.earlier import learned
from nars.searching.samplers import check_sampler
from nars.space import Space, feasible
from nars.space.feasible import FeasiblePart
from nars.space.genotypes import from_genotypes
from nars.space.values import first_values
from nars.spec import Architecture, Candidate, Recipe, read
from nars.training.metrics import check_repeated, is_function, is_metric

if TYPE_CHECKING:
    from nars.tasks.base import Task  # which imports torch

__all__ = ["candidate", "configure", "published_names", "recipe", "what_is_left"]

logger = logging.getLogger(__name__)


def configure(
    request: SearchRequest, folder: Path | None = None, say: Callable[[str], None] = logger.info
) -> SearchConfig:
    """The search that `request` asks for. Its data are opened after everything else is checked.

    With ``auto`` as its space or parent, a search that `folder` holds keeps its own, and so does one that was
    begun in its default folder when ``micro`` and random weights were the defaults; `say` is told what was
    taken, and why. Both keep the fingerprint of the data that the version which began them computed. Raises
    `UsageError`, `SpecError`, `DataError`, `RunError`.
    """
    check_sampler(request.sampler, request.objectives)
    continued = _continued(request, folder)
    if request.init == AUTO and continued is not None:
        request = request.replace(init=continued.config.init)
    if request.init != AUTO:
        made = _make(request, continued, folder)
    else:
        scratch = _make(request.replace(init="none"), continued, folder)
        made, reason = _with_parent(request, scratch, folder)
        if made.task.inherits:
            say(f"--init auto takes {made.config.init}: {reason}")
    for line in made.lines:
        say(line)
    return made.config


class _Made(NamedTuple):
    """A search with a named parent, its task, and lines that say what was chosen for it."""

    config: SearchConfig
    task: Task
    lines: tuple[str, ...] = ()


def _make(
    request: SearchRequest, continued: Run | None, folder: Path | None, task: Task | None = None
) -> _Made:
    """The search that `request` asks for, with its parent; its task is opened unless there is one."""
    known = _known_space(request, continued)
    space = _held(request, known[0] if known else _catalogue().space(_choice().SMALLEST))
    warm_start = tuple(_earlier(run, space, request.score) for run in request.warm_start)
    task = task or tasks.load(
        request.task,
        request.data,
        request.device,
        drop_bad=request.drop_bad,
        init=request.init,
        metric=request.score if is_metric(request.score) else None,
    )
    config = _as_begun(_config(request, _suited(request, space, task), task, warm_start), task, folder)
    lines = []
    if request.space == AUTO:
        config, reason = (config, known[1]) if known else _automatic(request, config, task, folder)
        lines.append(f"--space auto takes {config.space.name}: {reason}")
    if request.init != "none":
        _check_inherits(config)
    config, more = _referenced(request, config, task)
    return _Made(config, task, (*lines, *more))


def _with_parent(request: SearchRequest, scratch: _Made, folder: Path | None) -> tuple[_Made, str]:
    """The search with the parent that suits its images, or the same search from scratch; and the reason."""
    from nars.parents.choice import choose_parent  # which imports torch
    from nars.parents.sources import parent

    task, old = scratch.task, folder or default_folder(scratch.config)
    if (old / "config.yaml").exists():
        return scratch, f"{old} has it"
    choice = choose_parent(task.images if task.inherits else None)
    origin = parent(choice.name)
    if origin is None:
        return scratch, choice.reason
    try:
        made = _make(request.replace(init=choice.name), None, folder, task.inheriting(origin))
    except UsageError as error:
        return scratch, str(error)
    least = made.config.space.statistics(
        from_genotypes(made.config.space, [first_values(made.config.space.distributions)])
    )
    for name, limit in request.limits.items():
        if name in least and least[name][0] > limit:
            return scratch, f"all of its networks have more than {limit / 1e6:g} M {name}"
    return made, choice.reason


def _referenced(request: SearchRequest, config: SearchConfig, task: Task) -> tuple[SearchConfig, list[str]]:
    """The search with a fine-tuning of its parent first, if that is asked for; a tuned parent can teach."""
    space = config.space
    if request.init != "none" and request.reference_epochs:
        side = task.images.side if task.images else max(sides(space))
        return config.replace(reference=reference_of(space, side, request.reference_epochs)), []
    if space.recipe.get("distill", 0.0) == 0.0 or task.teaches:
        return config, []
    why = "knows other classes, and is not fine-tuned" if request.init != "none" else "has nothing to teach"
    config = config.replace(space=space.replace(recipe={**space.recipe, "distill": 0.0}))
    return config, [f"recipe.distill is held at 0: --init {config.init} {why}"]


def _check_inherits(config: SearchConfig) -> None:
    """Raise `UsageError` if candidates of the space have other stages than the parent."""
    from nars.parents.alignment import streams  # which imports torch
    from nars.parents.sources import parent

    origin, space = parent(config.init), config.space
    try:
        if origin is not None:
            streams(
                space.decode(first_values(space.distributions), space.name).architecture, origin.architecture
            )
    except WeightsError as error:
        remedy = f"`nars spaces --from {config.init}` prints a space of networks that can"
        raise UsageError(f"space {space.name} cannot inherit from {config.init}: {error}; {remedy}") from None


def _config(
    request: SearchRequest, space: Space, task: Task, warm_start: tuple[EarlierSearch, ...]
) -> SearchConfig:
    objectives = request.objectives or (request.score or task.metric,)
    check_first_objective(request.task, task.metric, objectives[0])
    return SearchConfig(
        space=space.replace(num_classes=task.num_classes),
        task=request.task,
        data=request.data,
        data_fingerprint=task.fingerprint,
        drop_bad=request.drop_bad,
        init=request.init,
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


def _continued(request: SearchRequest, folder: Path | None) -> Run | None:
    """The run that a search continues, or else learns from."""
    continued = [folder] if folder is not None and (folder / "config.yaml").exists() else []
    return next((open_run(run) for run in (*continued, *request.warm_start)), None)


def _known_space(request: SearchRequest, continued: Run | None) -> tuple[Space, str] | None:
    """The space that does not depend on the data, and the reason for it; None if it does.

    It is the one that is named, or that of the search which this one continues or learns from.
    """
    if request.space != AUTO:
        return _catalogue().space(request.space), "it is named"
    if continued is not None:
        return continued.config.space, f"{continued.folder} has it"
    if request.task == "detection":
        return _catalogue().space(_choice().SMALLEST), "the space of detectors"
    return None


def _automatic(
    request: SearchRequest, smallest: SearchConfig, task: Task, folder: Path | None
) -> tuple[SearchConfig, str]:
    """The search in the space that suits the data, and the reason; `smallest` is the same in ``micro``."""
    if task.images is None:
        return smallest, f"the space of the task {task.name}"
    if request.init != "none":
        return _in_space(request, smallest, task, _space_of_parent(request, task.images.side)), (
            f"all of its networks inherit from {request.init}"
        )
    name, reason = _choice().choose(task.images.side, task.images.channels, request.limits)
    if name == smallest.space.name:
        return smallest, reason
    config = _as_begun(_in_space(request, smallest, task, _catalogue().space(name)), task, folder)
    old, new = default_folder(smallest), default_folder(config)
    if folder is None and (old / "config.yaml").exists() and not (new / "config.yaml").exists():
        return smallest, f"{old} has it"
    return config, reason


def _in_space(request: SearchRequest, config: SearchConfig, task: Task, space: Space) -> SearchConfig:
    """The same search in another space."""
    suited = _suited(request, _held(request, space), task)
    return config.replace(
        space=suited.replace(num_classes=task.num_classes), data_fingerprint=task.fingerprint
    )


def _space_of_parent(request: SearchRequest, side: int) -> Space:
    """The space made from a parent, without resolutions too large for images of `side` pixels or a limit."""
    from nars.parents.sources import parent  # which imports torch
    from nars.parents.space import space_of

    origin = parent(request.init)
    assert origin is not None
    return space_of(origin.architecture, side, request.max_macs)


def _as_begun(config: SearchConfig, task: Task, folder: Path | None) -> SearchConfig:
    """The search with an earlier fingerprint of its data if a run that exists was begun with that.

    The run is in `folder` or, without one, in the default folder of the search.
    """
    for fingerprint in task.earlier_fingerprints:
        earlier = config.replace(data_fingerprint=fingerprint)
        if folder is None and (default_folder(config) / "config.yaml").exists():
            return config
        where = folder or default_folder(earlier)
        if (where / "config.yaml").exists() and open_run(where).config.data_fingerprint == fingerprint:
            return earlier
    return config


def _suited(request: SearchRequest, space: Space, task: Task) -> Space:
    """The space with one input channel if the data have one and it is made for that.

    Raises `UsageError` for other channels than those of the data, except three for grey images.
    """
    if task.images is None:
        return space
    channels = task.images.channels
    for name, facts in _choice().FACTS.items() if channels == 1 else ():
        made_for_it = 1 in facts.channels and name == space.name
        if made_for_it and space.stages == _catalogue().space(name).stages:  # no --fix arch=FILE
            space = space.replace(in_channels=1)
    if space.in_channels not in (3, channels):
        takes = f"space {space.name} takes images of in_channels: {space.in_channels}"
        raise UsageError(f"{takes}, those of {request.data} have {channels}")
    return space


def _held(request: SearchRequest, space: Space) -> Space:
    """The space with the parts held that the request fixes. Raises `UsageError` if nothing is left."""
    for part in request.fix:
        space = _hold(space, part)
    if not space.distributions:
        raise UsageError("nothing is left to search: both architecture and recipe are fixed")
    return space


def _earlier(folder: Path, space: Space, metric: str | None) -> EarlierSearch:
    """The measurements in a run folder. Raises `UsageError` if its dimensions are not those of `space`.

    A run that is scored by a function needs the same `metric`.
    """
    run = open_run(folder)
    if is_function(run.config.metric):
        check_repeated(run.config.metric, metric, str(folder))
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


def _choice() -> Any:
    return import_module("search_spaces.choice")
