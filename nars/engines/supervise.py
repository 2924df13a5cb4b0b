"""Supervises the workers of a search: starts them on an engine, replaces those that die, stops them."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.artifacts.store import Store
from nars.engines.assignment import Assignment
from nars.engines.base import End, Engine, Member, Start
from nars.engines.stopping import Whole, stop, stoppable
from nars.errors import EngineAwayError, RunError, StorageAwayError, continued
from nars.networks.latency import Latency, latency_domain
from nars.runs.reference import charged
from nars.runs.run import Run
from nars.searching.results import write_results
from nars.space.feasible import sample
from nars.spec import Trainable
from nars.trials import Record, counts
from nars.workers.liveness import Witness
from nars.workers.requeue import bury, roll_call
from nars.workers.weights import prune, write_weights

__all__ = ["leave_results", "supervise"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Seconds between two checks of the workers."""

_MOST_DEATHS = 8
"""Deaths of workers, with no trial finished in between, at which a search gives up."""

_WRITE_SECONDS = 10.0
"""Seconds until the results are written again to a disk that has refused them."""

_LEAST_FREE = 1e5
"""Bytes below which a disk is full."""


def supervise(
    run: Run,
    study: Study,
    store: Store,
    engine: Engine,
    workers: int,
    watch: Callable[[Study], None] | None = None,
    log: Path | None = None,
) -> None:
    """Run `workers` on an engine until the budget is spent.

    If a worker dies, whoever started it, its trial is trained again, once. A worker of the engine is replaced
    as well. `watch` is called with the study about twice a second; the output of workers is appended to
    `log`, if the engine has access to it. Nothing is started if nothing is left to do.
    Raises `RunError` if workers die again and again, or if one exits because of a user's mistake, and
    `EngineAwayError` if the engine is gone.
    """
    with continued():
        if _is_finished(run, study):
            return
        if run.config.needs_latency:
            _measure_latency(run, study, watch)
        team: list[Member] = []
        with engine.opened(Assignment.of(run, store, log), workers) as start, stoppable(team) as whole:
            try:
                with whole():
                    team.extend(start(range(workers)))  # one by one: all are stopped if the next cannot start
                _Supervision(run, study, store, start, whole, team, watch).follow()
            finally:
                stop(team)


def leave_results(run: Run, study: Study, store: Store) -> None:
    """Write the results and the weights to the run folder, and delete what nobody needs from the store."""
    write_results(run, study)
    write_weights(run, study, store)
    prune(study, run.config, store)


class _Supervision:
    """Watches the workers, also those of other engines; replaces those of its own that die."""

    def __init__(
        self,
        run: Run,
        study: Study,
        store: Store,
        start: Start,
        whole: Whole,
        team: list[Member],
        watch: Callable[[Study], None] | None,
    ) -> None:
        self._run = run
        self._study = study
        self._store = store
        self._start = start
        self._whole = whole
        self._team = team
        """The workers of this engine, in order of their numbers; those that ended stay in it."""
        self._watch = watch
        self._witness = Witness()
        self._deaths = 0
        """Deaths since a trial was finished last."""
        self._finished = self._written = _finished(study)
        self._cancelled: set[int] = set()
        """The numbers of workers that were taken away."""
        self._obstacle: str | None = None
        self._write_again = 0.0
        """When to write the results after that has failed; 0 if it has not."""
        self._buried_at: int | None = None
        """Trials that there were when one was found to have no worker, until another is sent for it."""

    def follow(self) -> None:
        """Watch until nothing is left to do."""
        while True:
            time.sleep(POLL_SECONDS)
            if self._watch is not None:
                self._watch(self._study)
            self._look_at_folder()
            self._take_stock()
            ends = [member.end() for member in self._team]
            for number, end in enumerate(ends):
                if end is not None and end.cancelled:
                    self._say_cancelled(number, end)
                elif end is not None and end.code != 0:
                    self._replace(number, end)
            if roll_call(self._study, self._run.config.space, self._witness):
                self._buried_at = len(self._study.get_trials(deepcopy=False))
            if self._is_done(ends):
                return

    def _say_cancelled(self, number: int, end: End) -> None:
        """Say once that a worker was taken away, which somebody wanted."""
        if number not in self._cancelled:
            self._cancelled.add(number)
            logger.warning("worker %d %s; no other takes its place, the others go on", number, end.how)

    def _look_at_folder(self) -> None:
        """Say once that the run folder cannot be written, and its end; workers say it in a file there."""
        obstacle = _obstacle(self._run.folder)
        if obstacle != self._obstacle:
            said = f"{obstacle}; workers wait for it, trainings go on" if obstacle else "can be written again"
            logger.warning("%s %s", self._run.folder, said)
        self._obstacle = obstacle

    def _take_stock(self) -> None:
        """Write the results if there are more than there were, and the disk takes them."""
        if (finished := _finished(self._study)) != self._finished:
            self._finished, self._deaths = finished, 0
        if self._written == finished or time.monotonic() < self._write_again:
            return
        try:
            leave_results(self._run, self._study, self._store)
        except StorageAwayError:
            raise
        except RunError as error:
            if self._write_again == 0.0:
                logger.warning("%s; the search goes on, its results are written later", error)
            self._write_again = time.monotonic() + _WRITE_SECONDS
        else:
            self._written, self._write_again = finished, 0.0

    def _replace(self, number: int, end: End) -> None:
        """Queue the trial of a worker that died unprompted, and start another worker."""
        self._deaths += 1
        for trial in _running_in(self._study, end):
            bury(self._study, trial, self._run.config.space, end.how)
        self._give_up(end)
        self._hire(number)

    def _hire(self, number: int) -> None:
        """Start a worker; a signal that comes meanwhile finds it in the team."""
        with self._whole():
            (self._team[number],) = self._start([number])

    def _give_up(self, end: End) -> None:
        """Raise `RunError` if another worker would most likely end like the one that died."""
        if end.code == 2:  # a user's mistake, which every worker would meet
            raise RunError(f"a worker stopped: {end.error or end.where}")
        if self._deaths >= _MOST_DEATHS:
            last = end.how.removeprefix("died ")
            raise RunError(f"{self._deaths} workers died one after the other, the last {last}; {end.where}")

    def _is_done(self, ends: Sequence[End | None]) -> bool:
        """Whether the workers have ended, those left aside that have not begun, and nothing is left to do."""
        if all(end is not None and end.cancelled for end in ends):
            raise EngineAwayError("the workers were cancelled; the same command goes on from here")
        has_ended = [end is not None and (end.code == 0 or end.cancelled) for end in ends]
        if not any(has_ended) or not all(
            ended or member.waits for ended, member in zip(has_ended, self._team, strict=True)
        ):
            return False
        # This process may have found, after its workers found nothing left to do, that one had died.
        is_unnoticed = self._buried_at == len(self._study.get_trials(deepcopy=False))
        if self._is_queued() or is_unnoticed:
            self._buried_at = None
            self._hire(has_ended.index(True))
            return False
        return self._is_over()

    def _is_over(self) -> bool:
        """Whether nothing is left to train, once the workers have ended: no trial has lost its worker."""
        trials = self._study.get_trials(deepcopy=False)
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        return not self._is_queued() and all(map(self._witness.knows_alive, running))

    def _is_queued(self) -> bool:
        """Whether a trial waits to be trained again, and the budget allows it."""
        trials = self._study.get_trials(deepcopy=False)
        waits = any(trial.state == TrialState.WAITING for trial in trials)
        return waits and not _is_spent(self._run, self._study, trials)


def _is_finished(run: Run, study: Study) -> bool:
    """Whether the budget is spent and nobody trains."""
    trials = study.get_trials(deepcopy=False)
    runs = any(trial.state == TrialState.RUNNING for trial in trials)
    return not runs and _is_spent(run, study, trials)


def _is_spent(run: Run, study: Study, trials: Sequence[FrozenTrial]) -> bool:
    return charged(run.config.total, study).is_spent(trials)


def _obstacle(folder: Path) -> str | None:
    """Return why a folder cannot be written; None if it can."""
    if not folder.exists():
        return "is gone"
    if not os.access(folder, os.W_OK):
        return "cannot be written"
    return "is on a full disk" if shutil.disk_usage(folder).free < _LEAST_FREE else None


def _measure_latency(run: Run, study: Study, watch: Callable[[Study], None] | None) -> None:
    """Measure latency for all workers before they start: on a quiet machine, with one thread like theirs.

    Raises `InfeasibleError` if nothing is quick enough.
    """
    config, task, threads = run.config, run.config.open_task(), torch.get_num_threads()

    def timed(candidate: Trainable) -> Latency:
        if watch is not None:
            watch(study)
        return task.latency(candidate)

    torch.set_num_threads(1)
    try:
        domain = latency_domain(config.space, study, timed)
    finally:
        torch.set_num_threads(threads)
    sample(domain, config.limits, 1, np.random.default_rng(0))


def _finished(study: Study) -> int:
    """Count the trials that finished; those that an exiting worker returned do not count as progress."""
    trials = study.get_trials(deepcopy=False)
    return sum(trial.state.is_finished() and counts(trial) for trial in trials)


def _running_in(study: Study, end: End) -> Sequence[FrozenTrial]:
    """Return the trials that a worker has left running."""
    if end.worker is None:
        return []
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [trial for trial in running if (Record.of(trial).worker or "").startswith(end.worker)]
