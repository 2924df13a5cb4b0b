"""Tells early that a command does not continue the search of its run folder: before weights and plans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nars.errors import DataError, RunError
from nars.predictors.knowledge import FEWEST_TRIALS
from nars.runs.config import SearchConfig
from nars.runs.request import AUTO, SearchRequest, metric_of
from nars.runs.run import Run, open_run

if TYPE_CHECKING:
    from nars.tasks.base import Task  # which imports torch

__all__ = ["begun_in", "check_continues", "check_data", "check_settings", "images_needed", "with_way_on"]


def begun_in(folder: Path | None) -> Run | None:
    """The search that a run folder holds; None without a folder, or if it holds none. Raises `RunError`."""
    return None if folder is None or not (folder / "config.yaml").exists() else open_run(folder)


def check_settings(request: SearchRequest, begun: Run) -> None:
    """Raise `RunError` if a setting is another one than that of the begun search.

    Those are compared that are known before any data are read; `SearchConfig.check_continues` has the rest.
    """
    names = ("task", "drop_bad", "limits", "sampler", "predictor", "pruner", "early_stopping", "seed")
    changes: dict[str, Any] = {name: getattr(request, name) for name in names}
    if request.init != AUTO:
        changes["init"] = request.init
    metric = request.score or metric_of(request.task)
    if request.objectives or metric is not None:
        changes["objectives"] = request.objectives or (metric,)
    _check(begun, changes, with_hint=request.drop_bad != begun.config.drop_bad)


def check_continues(config: SearchConfig, folder: Path) -> None:
    """Raise `RunError` if a run folder holds another search."""
    begun = begun_in(folder)
    if begun is not None:
        config.check_continues(begun.config, str(folder))


def check_data(request: SearchRequest, task: Task, begun: Run) -> None:
    """Raise `RunError`, with a way on, if the opened data are not those of the begun search."""
    if task.is_of(begun.config.data_fingerprint):
        return
    _check(begun, {"data": request.data, "data_fingerprint": task.fingerprint}, with_hint=True)


def _check(begun: Run, changes: dict[str, Any], *, with_hint: bool) -> None:
    """Raise `RunError` if fields of a begun search change."""
    try:
        begun.config.model_copy(update=changes).check_continues(begun.config, str(begun.folder))
    except RunError as error:
        raise RunError(f"{error}; {_hint(str(begun.folder))}") if with_hint else error from None


def _hint(folder: str) -> str:
    """The way to keep what a search has measured when its data change."""
    return f"--warm-start {folder} lets the other learn from this one, once that has {FEWEST_TRIALS} trials"


@contextmanager
def images_needed(begun: Run | None) -> Iterator[None]:
    """Add a way on to a `DataError` of the body that leaves out nothing which a begun search needs."""
    try:
        yield
    except DataError as error:
        if begun is None or not begun.config.has_path:
            raise
        raise with_way_on(error, str(begun.folder), str(begun.folder)) from None


def with_way_on(error: DataError, title: str, folder: str) -> DataError:
    """The error of data that the begun search `title` in `folder` needs, with a way on for its remedy."""
    other = "--drop-bad --run NEW" if error.remedy else "--run NEW"
    way = f"mend the data to continue {title}, or start another search with {other}"
    return DataError(f"{error.problem}; {way} ({_hint(folder)})")
