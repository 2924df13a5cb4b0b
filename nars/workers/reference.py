"""The fine-tuning of the parent before the first candidate: one worker does it, the others wait.

A study of its own decides which worker that is: each worker that arrives is a trial there, and the first
one that is alive fine-tunes the parent, with the threads of those who wait beside it. If it dies, the next
one continues from its last epoch. One that was only thought dead waits for the other when it notices.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import Trial

from nars.artifacts.files import fetch, keep
from nars.errors import RunError, StorageAwayError
from nars.parents.parent import Origin
from nars.parents.space import Cut, best_cuts, cuts
from nars.predictors.knowledge import EarlierSearch
from nars.runs.outage import impatient
from nars.runs.reference import charged, fine_tune, study_name
from nars.space.genotypes import Genotype
from nars.spec import Trainable
from nars.studies import reference_record, write_reference_record
from nars.tasks.base import Outcome, Task
from nars.tasks.reference import FineTuning
from nars.training.loop import Progress
from nars.trials import Record, write
from nars.workers.foretold import foretold
from nars.workers.keeper import discard_checkpoint
from nars.workers.liveness import Heartbeat
from nars.workers.search import Search
from nars.workers.turns import LentThreads, Turn, turn

__all__ = ["inheriting"]

logger = logging.getLogger(__name__)


def inheriting(search: Search, study: Study) -> Search:
    """The search whose candidates inherit from the fine-tuned parent, which is fine-tuned first if needed.

    Raises `RunError` if it cannot be fine-tuned, kept or read.
    """
    settings, task = search.config.reference, search.task
    if settings is not None:
        while reference_record(study) is None:
            try:
                with turn(study, study_name(study.study_name)) as mine:
                    if mine.comes(lambda: reference_record(study) is not None):
                        _fine_tune(search, study, mine, settings)
            except UpdateFinishedTrialError:
                logger.warning("another worker has taken over the fine-tuning meanwhile")
        task = task.inheriting(_fetched(search, study))
    found = [] if settings is None else _cuts(search, task, settings)
    known = foretold(study, search.config, search.domain, task, [cut.genotype for cut in found])
    first = tuple(best_cuts(found, known=_measured(known) if task.foretells_cuts else ()))
    return replace(search, task=task, budget=charged(search.budget, study), foretold=known, first=first)


def _measured(known: Sequence[EarlierSearch]) -> list[tuple[Genotype, float]]:
    """Pairs of a genotype and its score."""
    return [pair for lesson in known for pair in zip(lesson.genotypes, lesson.scores, strict=True)]


def _cuts(search: Search, task: Task, settings: FineTuning) -> list[Cut]:
    """The parent, cut to the limits in simple ways."""
    wholes = task.wholes(search.space, settings)
    return cuts(search.space, wholes, search.domain, search.config.limits)


def _fine_tune(search: Search, study: Study, mine: Turn, settings: FineTuning) -> None:
    """Fine-tune the parent, keep its weights with the study, and write its record there and to the turn."""
    beside, trial = mine.beside, mine.trial
    candidate = search.config.naming_data(search.task.reference_candidate(settings))
    with tempfile.TemporaryDirectory() as folder, Heartbeat(beside, trial):
        checkpoint = Path(folder) / "checkpoint.pt"
        if search.store is not None:
            _last_checkpoint(search, beside, checkpoint)
        with LentThreads(mine, search.task.device) as threads:
            follow = _follow(search, trial, checkpoint, threads)
            outcome = fine_tune(candidate, search.task, search.config.seed, follow, checkpoint)
        _keep(search, study, outcome, Path(folder) / "reference.pt")
    record = _record(search, candidate, outcome)
    write(beside, trial, record)
    write_reference_record(study, record)
    beside.tell(trial, outcome.score)
    for other in beside.get_trials(deepcopy=False):
        discard_checkpoint(search.store, other)


def _follow(
    search: Search, trial: Trial, checkpoint: Path, threads: LentThreads
) -> Callable[[Progress], bool]:
    """A callback that reports every epoch, keeps a checkpoint for a successor, and counts who waits."""

    def on_epoch(progress: Progress) -> bool:
        with contextlib.suppress(StorageAwayError), impatient():
            trial.report(progress.score, step=progress.epoch)
            threads.update()
        if search.store is not None and progress.fraction < 1:
            try:
                with impatient():
                    keep(trial, search.store, "checkpoint", checkpoint)
            except RunError as error:
                logger.warning("%s; the fine-tuning continues", error)
        return True

    return on_epoch


def _last_checkpoint(search: Search, beside: Study, target: Path) -> None:
    """Fetch the checkpoint of the last worker that left one."""
    assert search.store is not None
    for trial in reversed(beside.get_trials(deepcopy=False)):
        if fetch(trial, search.store, "checkpoint", target) is not None:
            return


def _keep(search: Search, study: Study, outcome: Outcome, file: Path) -> None:
    if search.store is None or outcome.write is None:
        raise RunError(f"study {study.study_name} has no store for its reference: give --artifacts")
    outcome.write(file)
    keep(study, search.store, "reference", file)


def _record(search: Search, candidate: Trainable, outcome: Outcome) -> Record:
    costs = search.task.costs(candidate)
    return Record(
        epochs=outcome.epochs,
        seed=search.config.seed,
        seconds=round(outcome.seconds, 3),
        curve=[(round(fraction, 4), round(value, 6)) for fraction, value in outcome.curve],
        measured={
            "macs": float(costs["macs"]),
            "params": float(costs["params"]),
            search.config.objectives[0]: outcome.score,
        },
    )


def _fetched(search: Search, study: Study) -> Origin:
    """The fine-tuned parent from the store of the search."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reference.pt"
        if search.store is None or fetch(study, search.store, "reference", file, is_needed=True) is None:
            where = "its store" if search.store is None else search.store.location
            raise RunError(
                f"the reference of study {study.study_name} is not in {where}: start another --run"
            )
        return search.task.parent_in(file)
