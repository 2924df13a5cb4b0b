"""The search as a library: `search()` and its result. The command `nars search` calls it, too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout
from matplotlib.figure import Figure
from optuna.study import Study

from nars.artifacts.location import store_of_run
from nars.engines.base import Engine
from nars.engines.local import Local
from nars.engines.supervise import leave_results, supervise
from nars.errors import RunError, SpecError, UsageError, closest
from nars.files import saying_once
from nars.report import page, plots
from nars.runs.code import code_version
from nars.runs.config import SearchConfig
from nars.runs.continuing import images_needed
from nars.runs.outage import impatient
from nars.runs.passwords import kept
from nars.runs.request import SearchRequest
from nars.runs.run import Run, default_folder, start_run
from nars.searching.configure import configure
from nars.searching.results import best_candidate, front_table, trials_table, winner
from nars.searching.summary import Summary
from nars.spec import Trainable
from nars.studies import write_code_version
from nars.training.metrics import check_repeated
from nars.workers import finish as finishing
from nars.workers.finish import Finished
from nars.workers.requeue import reap
from nars.workers.search import Search
from nars.workers.worker import work

__all__ = ["SearchResult", "search"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchResult:
    """The results of a search so far."""

    run: Run
    study: Study
    """Optuna's study, with every trial."""
    finished: Finished | None = None
    """The winner trained in full, if that was asked for."""

    @property
    def best(self) -> Trainable:
        """The winner: architecture and recipe. Raises `RunError` if no candidate was trained in full."""
        config = self.run.config
        return best_candidate(config, winner(self.study, config))

    @property
    def front(self) -> pd.DataFrame:
        """One row for each candidate that no other dominates: objectives, costs, genotype."""
        return front_table(self.study, self.run.config)

    @property
    def trials(self) -> pd.DataFrame:
        """One row for each trial, in order."""
        return trials_table(self.study, self.run.config)

    @property
    def summary(self) -> Summary:
        """The results in numbers."""
        return Summary.of(self.run, self.study)

    def plot(self) -> Figure:
        """Draw score against MACs for every candidate trained in full, with the front."""
        return plots.front(self.study.get_trials(deepcopy=False), self.run.config.objectives[0])

    def report(self) -> Path:
        """Write ``report.html`` to the run folder, and return its path."""
        return page.write_report(self.run, self.study)


@saying_once()
def search(
    request: SearchRequest | SearchConfig | None = None,
    run: str | Path | None = None,
    storage: str | None = None,
    *,
    workers: int | None = None,
    watch: Callable[[Study], None] | None = None,
    artifacts: str | Path | None = None,
    finish: bool | int = False,
    engine: Engine | None = None,
    **settings: Any,
) -> SearchResult:
    """Search until the budget is spent, continuing an earlier search of the run folder.

    - `request`: the configuration of the search; alternatively, give its fields by name as `settings`,
      as in ``search(data="photos/", budget="64", max_macs="8M")``. With a `SearchConfig`, the only setting is
      `metric`; it is required if the metric is a user's function, because its code is run
    - `run`: the run folder; by default one below ``runs/``, named after the settings
    - `storage`: an Optuna storage URL instead of the journal file in the run folder
    - `workers`: how many processes train; None trains in this process, or lets `engine` choose
    - `artifacts`: a folder or ``s3://bucket/prefix`` for weights and checkpoints, for workers that do not
      reach the run folder; by default ``artifacts`` there
    - `finish`: train the winner in full after the budget, into ``weights/finished.pt``; a number replaces
      the epochs of its recipe
    - `engine`: where workers run, such as ``nars.engines.ray.Ray("auto")``; by default on this machine
    - `watch`: called with the study about twice a second while worker processes train

    Raises `SpecError` for an unknown setting or a value that breaks a rule, `UsageError` for names that
    do not exist and for arguments of another type, `DataError`, `RunError` if the folder holds another
    search, and `InfeasibleError` if no candidate meets the limits.
    """
    _check(request, settings)
    _check_places(run, storage, artifacts)
    _check_work(workers, engine, watch)
    epochs = _epochs(finish)
    folder = None if run is None else Path(run)
    storage = None if storage is None else kept(storage)
    config = _configured(request, settings, folder)
    if workers is None and engine is not None:
        workers = engine.default_workers(config)
    opened = start_run(folder or default_folder(config), config, storage)
    study = opened.study()
    write_code_version(study, code_version())
    store = store_of_run(opened.folder, study, None if artifacts is None else str(artifacts))
    with opened.locked():
        reap(study, config.space)
    try:
        with _beside_another(opened.folder):
            if workers is None:
                with images_needed(opened):
                    work(Search.of(study, config, config.open_task(), store), study)
            else:
                log = opened.folder / "log.txt"
                supervise(opened, study, store, engine or Local(), workers, watch, log)
    except BaseException:  # an interrupted search leaves its results so far, if its storage answers
        with suppress(RunError), impatient():
            leave_results(opened, study, store)
        raise
    leave_results(opened, study, store)
    finished = finishing.finish(opened, study, epochs) if finish is not False else None
    return SearchResult(opened, study, finished)


@contextmanager
def _beside_another(folder: Path) -> Iterator[None]:
    """Say in a line if another search works on the run folder, too: both train until the budget is spent."""
    lock = FileLock(folder / ".search")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.warning("%s: another search works on it; this one joins in until the budget is spent", folder)
    try:
        yield
    finally:
        lock.release()


def _epochs(finish: Any) -> int | None:
    """Return the epochs that are asked for; None for those of the recipe. Raises `UsageError`."""
    if isinstance(finish, bool):
        return None
    if not isinstance(finish, int) or finish < 1:
        raise UsageError(f"finish is True, False or a number of epochs from 1, got {finish!r}")
    return finish


def _check(request: Any, settings: dict[str, Any]) -> None:
    """Raise `UsageError`, or `SpecError` for an unknown name, for what `search` does not take."""
    if not isinstance(request, SearchRequest | SearchConfig | None):
        raise UsageError(f"search() takes its settings by name, such as data=..., got {request!r}")
    unknown = next((name for name in settings if name not in SearchRequest.model_fields), None)
    if unknown is not None:
        arguments = [name for name in signature(search).parameters if name != "settings"]
        names = sorted([*SearchRequest.model_fields, *arguments])
        hint, valid = closest(unknown, names), f"valid: {', '.join(names)}"
        raise SpecError(f"unknown key {unknown!r} of search: {hint if hint == valid else f'{hint} {valid}'}")
    if isinstance(request, SearchConfig) and settings.keys() - {"metric"}:
        raise UsageError(f"a configured search takes no further settings, got {', '.join(settings)}")


def _check_places(run: Any, storage: Any, artifacts: Any) -> None:
    """Raise `UsageError` for what names no place."""
    if not isinstance(run, str | Path | None):
        raise UsageError(f"run is the path of a folder, got {run!r}")
    if not isinstance(storage, str | None):
        raise UsageError(f"storage is an Optuna storage URL as text, got {storage!r}")
    if not isinstance(artifacts, str | Path | None):
        raise UsageError(f"artifacts is a folder or s3://..., got {artifacts!r}")


def _check_work(workers: Any, engine: Any, watch: Any) -> None:
    """Raise `UsageError` for what cannot run or watch a search."""
    if not isinstance(engine, Engine | None):
        raise UsageError(f"engine is one of nars.engines, such as nars.engines.local.Local(), got {engine!r}")
    if watch is not None and not callable(watch):
        raise UsageError(f"watch is a function of the study, got {watch!r}")
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise UsageError(f"workers is a number of processes from 1, or None, got {workers!r}")


def _configured(
    request: SearchRequest | SearchConfig | None, settings: dict[str, Any], folder: Path | None
) -> SearchConfig:
    if isinstance(request, SearchConfig):
        check_repeated(request.metric, settings.get("metric"), "the configured search")
        return request
    whole = request.replace(**settings) if request is not None else SearchRequest.of(settings)
    return configure(whole, folder)
