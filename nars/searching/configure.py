"""Turn a request into a `SearchConfig`: resolve its names, restrict its space, open its data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nars import tasks
from nars.errors import RunError, UsageError
from nars.foreign.parts import Part
from nars.predictors.knowledge import EarlierSearch
from nars.runs.config import SearchConfig
from nars.runs.continuing import begun_in, check_data, check_settings, images_needed
from nars.runs.request import AUTO, SearchRequest, check_first_objective
from nars.runs.run import Run, default_folder, open_run
from nars.searching import catalogue
from nars.searching.choice import as_begun, automatic, check_inherits, known_space, smallest, suited
from nars.searching.earlier import learned
from nars.searching.samplers import check_sampler
from nars.searching.steps import stretch, stretched
from nars.space import feasible
from nars.space.base import SearchSpace
from nars.space.feasible import FeasiblePart
from nars.space.genotypes import from_genotypes
from nars.space.values import first_values
from nars.tasks.differences import space_difference
from nars.training.metrics import check_repeated, is_function, is_metric

if TYPE_CHECKING:
    from nars.tasks.base import Task  # which imports torch

__all__ = ["configure", "what_is_left"]

logger = logging.getLogger(__name__)


def configure(
    request: SearchRequest,
    folder: Path | None = None,
    say: Callable[[str], None] = logger.info,
    on_parts: Callable[[Sequence[Part]], object] = lambda parts: None,
) -> SearchConfig:
    """The search that `request` asks for. Its data are opened after everything else is checked.

    With ``auto`` as its space or parent, a search that `folder` holds keeps its own. So does one in its
    default folder that an older version began, whose defaults were ``micro`` and random weights. Both keep
    their fingerprint of the data, too. `say` is told what was taken, and why; `on_parts` gets the parts of
    the data. Raises `UsageError`, `SpecError`, `DataError`, `RunError`.
    """
    check_sampler(request.sampler, request.objectives)
    begun = begun_in(folder)
    if begun is not None:
        check_settings(request, begun)
    continued = begun or next(map(open_run, request.warm_start), None)
    if request.init == AUTO and continued is not None:
        request = request.replace(init=continued.config.init)
    if request.init != AUTO:
        made = _make(request, continued, folder)
    else:
        scratch = _make(request.replace(init="none"), continued, folder)
        made, reason = _with_parent(request, scratch, folder)
        if made.task.inherits:
            say(f"--init auto takes {made.config.init}: {reason}")
    on_parts(made.task.parts())
    remarks = made.task.remarks(made.config.space)
    for line in (*(part.line() for part in made.task.parts()), *made.lines, *remarks):
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
    known = known_space(request, continued)
    space = catalogue.fixed(known[0] if known else smallest(request.task), request.fix)
    task = task or _opened(request, folder)
    searched = suited(request, space, task)
    warm_start = _warm_start(request, space, _taught(request, searched, task), folder)
    config = as_begun(_config(request, searched, task, warm_start), task, folder)
    lines = []
    if request.space == AUTO:
        config, reason = (config, known[1]) if known else automatic(request, config, task, folder)
        lines.append(f"--space auto takes {config.space.name}: {reason}")
    if request.init != "none":
        check_inherits(config, task)
    config, more = _referenced(request, config, task)
    lines += more
    begun = begun_in(folder)
    if begun is not None and request.reference_epochs is None:
        config = config.replace(reference=begun.config.reference)
    elif begun is None and request.init != "none" and request.reference_epochs is None:
        config, more = _long_enough(config, task, folder, chosen=known is None)
        lines += more
    elif begun is None and request.init != "none" and (factor := stretch(task.examples)) > 1:
        lines.append(
            f"{task.examples} images are few: without --reference-epochs, trainings would have {factor} "
            "times the usual epochs"
        )
    return _Made(config, task, tuple(lines))


def _opened(request: SearchRequest, folder: Path | None) -> Task:
    """The task on its data, with its parent; the data are checked first to be those of a begun search."""
    begun = begun_in(folder)
    with images_needed(begun):
        task = tasks.load(
            request.task,
            request.data,
            request.device,
            drop_bad=request.drop_bad,
            metric=request.score if is_metric(request.score) else None,
        )
    if begun is not None:
        check_data(request, task, begun)
    return tasks.with_parent(task, request.init)


def _with_parent(request: SearchRequest, scratch: _Made, folder: Path | None) -> tuple[_Made, str]:
    """The search with the parent that suits its images, or the same search from scratch; and the reason."""
    from nars.parents.choice import choose_parent  # which imports torch

    task, old = scratch.task, folder or default_folder(scratch.config)
    if (old / "config.yaml").exists():
        return scratch, f"{old} has it"
    choice = choose_parent(task.images if task.inherits else None)
    origin = None if choice.name == "none" else task.parent_called(choice.name)
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
    space, epochs = config.space, request.reference_epochs
    if request.init != "none" and epochs != 0:
        return config.replace(reference=task.reference(space, epochs)), []
    ignored = [] if not epochs else ["--reference-epochs changes nothing: there is no parent to fine-tune"]
    taught = _taught(request, space, task)
    if taught is space:
        return config, ignored
    why = "knows other classes, and is not fine-tuned" if request.init != "none" else "has nothing to teach"
    return config.replace(space=taught), [
        f"recipe.distill is held at 0: --init {config.init} {why}",
        *ignored,
    ]


def _taught(request: SearchRequest, space: SearchSpace, task: Task) -> SearchSpace:
    """The space itself or, if there will be no teacher, with recipes that need none."""
    is_tuned = request.init != "none" and request.reference_epochs != 0
    if is_tuned or task.teaches or space.recipe.get("distill", 0.0) == 0.0:
        return space
    return space.replace(recipe={**space.recipe, "distill": 0.0})


def _long_enough(
    config: SearchConfig, task: Task, folder: Path | None, *, chosen: bool
) -> tuple[SearchConfig, list[str]]:
    """The search with longer trainings if its photos are few, and a line that says so.

    Those of candidates are longer if the space was `chosen`, not named. A search that an older version began
    in its default folder keeps its lengths.
    """
    factor = stretch(task.examples)
    longer = stretched(config, factor, space=chosen)
    old, new = default_folder(config), default_folder(longer)
    is_old = folder is None and (old / "config.yaml").exists() and not (new / "config.yaml").exists()
    if longer == config or is_old:
        return config, []
    return longer, [f"trainings have {factor} times the usual epochs, because {task.examples} images are few"]


def _config(
    request: SearchRequest, space: SearchSpace, task: Task, warm_start: tuple[EarlierSearch, ...]
) -> SearchConfig:
    objectives = request.objectives or (request.score or task.metric,)
    check_first_objective(request.task, task.metric, objectives[0])
    return SearchConfig(
        space=space.for_classes(task.num_classes),
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
        description=task.describe(),
    )


def _warm_start(
    request: SearchRequest, named: SearchSpace, searched: SearchSpace, folder: Path | None
) -> tuple[EarlierSearch, ...]:
    """The earlier searches to learn from; a begun one keeps those that it knew, whatever they did since."""
    begun = begun_in(folder)
    recorded: Sequence[EarlierSearch | None] = () if begun is None else begun.config.warm_start
    if len(recorded) != len(request.warm_start):  # it says itself that it is another search
        recorded = [None] * len(request.warm_start)
    found = []
    for run, known in zip(request.warm_start, recorded, strict=True):
        try:
            earlier = _earlier(run, named, searched, request.score)
        except RunError:
            if known is None or known.run != run.name:
                raise
            earlier = known  # its run is gone
        found.append(known if known is not None and earlier.goes_on_from(known) else earlier)
    return tuple(found)


def _earlier(folder: Path, named: SearchSpace, searched: SearchSpace, metric: str | None) -> EarlierSearch:
    """The measurements in a run folder.

    Raises `UsageError` unless its space has all dimensions of the one that is `searched`, and no others than
    the `named` space, of which a task may hold some. A run that is scored by a function needs the same
    `metric`.
    """
    run = open_run(folder)
    if is_function(run.config.metric):
        check_repeated(run.config.metric, metric, str(folder))
    earlier = run.config.space
    open_there = earlier.distributions
    has_all = searched.distributions.items() <= open_there.items()
    if not has_all or not open_there.items() <= named.distributions.items() | searched.distributions.items():
        difference = space_difference(earlier, searched.for_classes(earlier.num_classes))
        raise UsageError(f"no warm start from {folder}: {difference}")
    return learned(run.study(), run.name, list(searched.distributions))


def what_is_left(config: SearchConfig) -> FeasiblePart:
    """The part of the space within the limits, except that on latency, which has to be measured first.

    Raises `InfeasibleError` with the smallest possible values.
    """
    limits = {name: limit for name, limit in config.limits.items() if name != "latency"}
    return feasible.feasible_part(config.space, limits, np.random.default_rng(0))
