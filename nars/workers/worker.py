"""The search: ask for a candidate, train it, tell its score, until the budget is spent.

Any number of workers run `work` on one storage. They agree through the study alone: which trial
may train, when to stop one early, and when to confirm, are functions of its trials.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars import tasks
from nars.errors import InfeasibleError, RunError, TrialError, UsageError
from nars.networks.latency import WithLatency, latency_domain, measure
from nars.searching.budget import Budget
from nars.searching.config import SearchConfig
from nars.searching.confirm import is_confirmation
from nars.searching.early_stopping import TAUGHT_BY, EarlyStopping
from nars.searching.pruners import make_pruner
from nars.searching.results import write_results
from nars.searching.run import config_of, start_run
from nars.searching.storage import open_storage
from nars.searching.wrappers import SLOW, TRIES, SearchSampler, make_sampler
from nars.space import Space
from nars.space.genotypes import Domain, from_genotypes
from nars.space.values import extremes
from nars.spec import Candidate, Recipe
from nars.tasks.base import Outcome, Task
from nars.training.loop import Progress
from nars.trials import REFUSED, Record, counts, write
from nars.workers.liveness import Heartbeat, give_back, reap, worker_name

__all__ = ["join", "search", "work"]

logger = logging.getLogger(__name__)

VOIDS_IN_A_ROW = 50
"""Proposals refused one after the other before a search gives up."""

PARENT_SECONDS = 0.5
"""Between two looks at whether the process that started a worker is still there."""


def search(config: SearchConfig, folder: str | Path, storage: str | None = None) -> Study:
    """Search to the end of the budget in this process, from where the run folder was left.

    For several processes see `nars.workers.launch`; for a `SearchConfig`, `nars.searching.configure`.
    Raises `RunError` where the folder holds another search, `InfeasibleError` where no candidate
    meets the limits.
    """
    run = start_run(Path(folder), config, storage)
    study = run.study()
    with run.locked():
        reap(study)
    work(study, _open_task(config))
    write_results(run, study)
    return study


def join(storage: str, name: str, *, data: str | None, device: str, parent: int | None) -> None:
    """Work on a study of this name as one more process, until the budget is spent.

    `data` is where the data is on this machine, if elsewhere than on the first. With a `parent`,
    the work ends when that process does. Raises `UsageError`, `RunError`.
    """
    opened = open_storage(storage)
    try:
        study = optuna.load_study(study_name=name, storage=opened, sampler=optuna.samplers.RandomSampler())
    except KeyError:
        known = ", ".join(sorted(optuna.get_all_study_names(opened))) or "none"
        raise UsageError(f"no study {name!r} in {storage}; there: {known}") from None
    config = config_of(study)
    signal.signal(signal.SIGTERM, _terminate)
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    task = _open_task(config.replace(data=data or config.data, device=device))
    if task.fingerprint != config.data_fingerprint:
        raise RunError(f"the data at {data or config.data} is not that of study {name}")
    work(study, task)


def _terminate(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # the trial is given back only once
    raise SystemExit(128 + number)


def _follow(parent: int) -> None:
    """End this process, its trial given back, when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _open_task(config: SearchConfig) -> Task:
    return tasks.load(config.task, config.data, config.device, drop_bad=config.drop_bad)


def work(study: Study, task: Task) -> None:
    """Train candidates of a study as one of its workers until the budget is spent.

    Raises `InfeasibleError` where no candidate meets the limits.
    """
    worker = _Worker(study, config_of(study), task)
    voids = 0
    while worker.has_budget():
        voids = 0 if worker.step() else voids + 1
        if voids >= VOIDS_IN_A_ROW:
            raise InfeasibleError(worker.why_nothing_fits())


@dataclass
class _Worker:
    """One process's part in a search."""

    given: Study
    config: SearchConfig
    task: Task

    @cached_property
    def budget(self) -> Budget:
        return self.config.total

    @cached_property
    def domain(self) -> Domain:
        if self.config.needs_latency:
            return latency_domain(self.config.space, self.given, self.task.device)
        return self.config.space

    @cached_property
    def sampler(self) -> SearchSampler:
        config = self.config
        inner = make_sampler(
            config.sampler,
            self.domain,
            config.limits,
            config.objectives,
            config.seed,
            config.predictor,
            config.warm_start,
        )
        attributes = Record(worker=worker_name(), epochs=_most_epochs(config.space))
        tries = 1 if config.sampler in SLOW else TRIES
        return SearchSampler(inner, self.domain, self.budget, config.limits, config.seed, attributes, tries)

    @cached_property
    def study(self) -> Study:
        self.given.sampler, self.given.pruner = self.sampler, make_pruner(self.config.pruner)
        return self.given

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def has_budget(self) -> bool:
        return self.budget.spent(self.trials()) < self.budget.amount

    def why_nothing_fits(self) -> str:
        """What was measured of the candidates refused: how near to the limits they came."""
        records = map(Record.of, self.trials())
        refused = [record for record in records if record.void == REFUSED]
        over = (
            f"{len(refused)} candidates were over a limit when measured, the last with {refused[-1].reason}"
        )
        measured = [each.measured["latency"] for each in refused if "latency" in each.measured]
        return over + (f"; the smallest latency was {min(measured):.4g}" if measured else "")

    def step(self) -> bool:
        """Ask for one trial and see it to its end; False where it was not trained."""
        try:
            trial = self.study.ask(dict(self.config.space.distributions))
            earlier = [each for each in self.trials() if each.number < trial.number]
            if not self.budget.grants(earlier, trial.number):
                return self._refuse(trial, "the budget was spent by other workers")
            return self._train(trial, [each for each in earlier if counts(each)])
        except BaseException:  # a trial that was told already stands
            for running in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if Record.of(running).worker == worker_name():
                    give_back(self.study, running)
            raise

    def _train(self, trial: Trial, earlier: Sequence[FrozenTrial]) -> bool:
        candidate = self.config.space.decode(trial.params, name=f"trial{trial.number}")
        training = _Training(self, trial, candidate, earlier)
        try:
            over = training.describe()
            if over is not None:
                return self._refuse(trial, over)
            with Heartbeat(self.study, trial):
                training.run()
        except TrialError as error:
            logger.warning("trial %d failed: %s", trial.number, error)
            epochs = min(training.epochs + 1, candidate.recipe.epochs)
            write(self.study, trial, Record(reason=str(error), epochs=epochs))
            self.study.tell(trial, state=TrialState.FAIL)
        return True

    def _refuse(self, trial: Trial, reason: str) -> bool:
        write(self.study, trial, Record(void=REFUSED, reason=reason))
        self.study.tell(trial, state=TrialState.FAIL)
        return False


def _most_epochs(space: Space) -> int:
    """The longest training in a space: what a trial takes of the budget until its genotype is known."""
    name = "recipe.epochs"
    if name in space.distributions:
        return int(max(extremes(space.distributions[name])))
    fixed: Any = space.fixed.get(name, Recipe().epochs)
    return int(fixed)


class _Training:
    """One trial's training, and what is written down of it.

    `earlier` are the trials that count against the budget and came before.
    """

    def __init__(
        self, worker: _Worker, trial: Trial, candidate: Candidate, earlier: Sequence[FrozenTrial]
    ) -> None:
        self.worker = worker
        self.trial = trial
        self.candidate = candidate
        self.earlier = earlier
        self.confirms = is_confirmation(worker.budget, earlier) and any(
            each.params == trial.params and each.state == TrialState.COMPLETE for each in earlier
        )
        self.curve: list[tuple[float, float]] = []
        self.epochs = 0
        self.stopped: str | None = None
        self.stopping = self._early_stopping()

    def describe(self) -> str | None:
        """Write down what is known before the training; say which measured limit does not hold."""
        trial, config = self.trial, self.worker.config
        matrix = from_genotypes(config.space, [trial.params])
        statistics = {name: float(values[0]) for name, values in config.space.statistics(matrix).items()}
        if isinstance(self.worker.domain, WithLatency):
            architecture = self.candidate.architecture
            statistics["latency"] = measure(
                architecture, config.space.num_classes, self.worker.task.device
            ).median
        seed = Record.of(trial).seed
        record = Record(
            epochs=self.candidate.recipe.epochs,
            seed=self._fresh_seed() if seed is None else seed,
            measured=statistics,
        )
        if self.confirms:
            first = min(e.number for e in self.earlier if e.params == trial.params)
            record = replace(record, confirms=first)
        for name, limit in config.limits.items():
            trial.set_constraint(name, statistics[name] - limit)
        write(self.worker.study, trial, record)
        over = [name for name, limit in config.limits.items() if statistics[name] > limit]
        return f"{over[0]} {statistics[over[0]]:g} > {config.limits[over[0]]:g}" if over else None

    def _fresh_seed(self) -> int:
        """Another for every trial, and for every run of one candidate even where workers were lost."""
        taken = {Record.of(each).seed for each in self.earlier if each.params == self.trial.params}
        seeds = itertools.count(self.worker.config.seed * 1_000_003 + len(self.earlier), 500_009)
        return next(seed for seed in seeds if seed not in taken)

    def run(self) -> None:
        outcome = self.worker.task.run(
            self.candidate, seed=_known(Record.of(self.trial).seed), on_epoch=self._on_epoch
        )
        study, trial = self.worker.study, self.trial
        write(study, trial, self._results(outcome))
        if self.stopped is None:
            self.worker.study.tell(trial, self._values(outcome.score))
            return
        estimate = self.stopping.final(self.curve) if self.stopping is not None else None
        known = None if estimate is None else tuple(self._values(estimate))
        write(study, trial, Record(reason=self.stopped, estimate=known))
        self.worker.study.tell(trial, state=TrialState.PRUNED)

    def _results(self, outcome: Outcome) -> Record:
        return Record(
            epochs=outcome.epochs,
            seconds=round(outcome.seconds, 3),
            curve=[(round(at, 4), round(score, 6)) for at, score in outcome.curve],
            measured={self.worker.config.objectives[0]: outcome.score},
        )

    def _values(self, score: float) -> list[float]:
        measured = Record.of(self.trial).measured
        return [score, *(measured[name] for name in self.worker.config.objectives[1:])]

    def _on_epoch(self, progress: Progress) -> bool:
        """Take note of a score; False ends the training."""
        step = round(100 * progress.fraction)
        single = len(self.worker.config.objectives) == 1
        if single and not (self.curve and step == round(100 * self.curve[-1][0])):  # of over 100 epochs
            self.trial.report(progress.accuracy, step=step)
        self.curve.append((progress.fraction, progress.accuracy))
        self.epochs = progress.epoch
        if progress.fraction >= 1 or self.confirms:
            return True
        if self.stopping is not None and self.stopping.should_stop(self.curve, self._peers()):
            self.stopped = f"stopped at {progress.fraction:.0%}: not among the better half there"
        elif single and self.trial.should_prune():
            self.stopped = f"pruned at {progress.fraction:.0%} ({self.worker.config.pruner})"
        elif self.worker.budget.unit == "seconds" and not self.worker.has_budget():
            self.stopped = f"stopped at {progress.fraction:.0%}: out of time"
        return self.stopped is None

    def _early_stopping(self) -> EarlyStopping | None:
        """The rule that the first candidates, trained in full, have taught."""
        first = self.earlier[:TAUGHT_BY]
        finished = all(each.state.is_finished() for each in first)
        if not self.worker.config.early_stopping or len(first) < TAUGHT_BY or not finished:
            return None
        complete = [Record.of(each).curve for each in first if each.state == TrialState.COMPLETE]
        return EarlyStopping([curve for curve in complete if curve is not None])

    def _peers(self) -> list[Any]:
        """Curves to compare with: in a search for a front, of what costs no more."""
        others = self.worker.config.objectives[1:]
        mine = Record.of(self.trial).measured
        return [
            record.curve
            for record in map(Record.of, self.earlier)
            if record.curve is not None and all(record.measured[name] <= mine[name] for name in others)
        ]


def _known(seed: int | None) -> int:
    assert seed is not None
    return seed
