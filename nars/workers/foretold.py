"""Lets a search learn from candidates that are measured before any is trained.

A task whose candidates inherit from a parent foretells how good one will be (`Task.foretell`), in a second or
so. That is too slow for every proposal, so a few candidates are measured (`nars.parents.space.lessons`), and
the sampler treats their results as an earlier search. `experiments.inheritance_choice` and
`experiments.detector_lessons` show what they are worth.

The workers share the work. Every one draws the same candidates; in a study beside that of the search, trial
number n measures candidate n, and a candidate whose worker died is measured by a later trial.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from optuna.samplers import RandomSampler
from optuna.study import Study, get_all_study_names, load_study
from optuna.trial import FrozenTrial, TrialState

from nars.errors import TrialError
from nars.internals import storage_of
from nars.parents.space import lessons
from nars.predictors.knowledge import EarlierSearch
from nars.runs.budget import busy_seconds
from nars.runs.config import SearchConfig
from nars.space.genotypes import Domain, Genotype
from nars.studies import foretold_samples, write_foretold_samples
from nars.tasks.base import Task
from nars.trials import Record, write
from nars.workers.liveness import Heartbeat, Stopwatch, Witness
from nars.workers.turns import POLL_SECONDS, signed, study_beside

__all__ = ["foretold", "measured_of"]

logger = logging.getLogger(__name__)

COUNT = 64
"""Candidates that are measured."""

_FEWEST = 8
"""Measured candidates below which nothing is learned from them."""

_SHARE = 0.1
"""Part of a time budget that measurements may take; those begun are finished."""


def foretold(
    study: Study, config: SearchConfig, domain: Domain, task: Task, cuts: Sequence[Genotype] = ()
) -> tuple[EarlierSearch, ...]:
    """Return what the task foretells of candidates within the limits, as an earlier search.

    Some of the `cuts`, simple ones of the parent, are among them, and others near these.
    The candidates are measured if the study has no results yet, by all workers that call this. The tuple is
    empty if the sampler cannot use them, or if the task foretells nothing.
    """
    if config.init == "none" or (config.sampler, config.predictor) != ("nars", "gaussian"):
        return ()
    samples = foretold_samples(study)
    if samples is None:
        samples = _measured(study, config, task, lessons(domain, config.limits, config.seed, cuts, COUNT))
    if len(samples) < _FEWEST:
        return ()
    genotypes, scores = zip(*samples, strict=True)
    return (EarlierSearch(run="what is inherited", genotypes=genotypes, scores=scores),)


def measured_of(study: Study) -> tuple[int, int] | None:
    """How many candidates are measured, and of how many; None unless workers are measuring them."""
    storage = storage_of(study)
    if foretold_samples(study) is not None or _name(study) not in get_all_study_names(storage):
        return None
    beside = load_study(study_name=_name(study), storage=storage, sampler=RandomSampler())
    return len(_measured_in(beside.get_trials(deepcopy=False), COUNT)), COUNT


def _name(study: Study) -> str:
    """The name of the study in which workers share the measurements."""
    return f"{study.study_name}.foretold"


def _measured(
    study: Study, config: SearchConfig, task: Task, genotypes: Sequence[Genotype]
) -> list[tuple[Genotype, float]]:
    """Pairs of a genotype and what its task foretells of it, without candidates that cannot be measured."""
    logger.info("measuring what %d candidates inherit", len(genotypes))
    beside, witness = study_beside(study, _name(study)), Witness()
    while foretold_samples(study) is None:
        trials = beside.get_trials(deepcopy=False)
        gone = {trial.number for trial in witness.look(trials)}
        values = _measured_in(trials, len(genotypes))
        unmeasured = set(range(len(genotypes))) - values.keys()
        if not unmeasured or _is_long(config, trials, values):
            found = [
                (genotypes[index], value) for index, value in sorted(values.items()) if value is not None
            ]
            write_foretold_samples(study, found, busy_seconds(trials, datetime.now()))
        elif unmeasured <= _in_progress(trials, len(genotypes), gone):
            time.sleep(POLL_SECONDS)
        elif not _measure_one(beside, config, genotypes, task, gone):
            write_foretold_samples(study, [], 0.0)
    return foretold_samples(study) or []


def _is_long(config: SearchConfig, trials: Sequence[FrozenTrial], values: Mapping[int, float | None]) -> bool:
    """Whether measurements have taken their part of a time budget, and something can be learned from them."""
    most = _SHARE * config.total.amount if config.total.unit == "seconds" else math.inf
    measured = sum(value is not None for value in values.values())
    return measured >= _FEWEST and busy_seconds(trials, datetime.now()) >= most


def _measure_one(
    beside: Study, config: SearchConfig, genotypes: Sequence[Genotype], task: Task, gone: Collection[int]
) -> bool:
    """Measure the candidate of the next trial unless that was done; False if the task foretells nothing.

    `gone` are the numbers of trials whose workers have died.
    """
    with signed(beside) as trial:
        before = beside.get_trials(deepcopy=False)[: trial.number]
        index = trial.number % len(genotypes)
        if index in _measured_in(before, len(genotypes)) or index in _in_progress(
            before, len(genotypes), gone
        ):
            return True
        stopwatch = Stopwatch()
        try:
            with Heartbeat(beside, trial, stopwatch):
                value = task.foretell(config.space.decode(genotypes[index]))
            write(beside, trial, Record(worked=round(stopwatch.seconds, 3)))
        except TrialError as error:
            logger.warning("a candidate could not be measured: %s", error)
            write(beside, trial, Record(reason=str(error)))
            return True
        if value is None:
            return False
        if math.isfinite(value):
            beside.tell(trial, value)
        else:
            write(beside, trial, Record(reason="it is not finite"))
    return True


def _measured_in(trials: Sequence[FrozenTrial], count: int) -> dict[int, float | None]:
    """Map each measured candidate to its value; None if it cannot be measured."""
    return {
        trial.number % count: trial.value
        for trial in trials
        if trial.state == TrialState.COMPLETE or Record.of(trial).reason is not None
    }


def _in_progress(trials: Sequence[FrozenTrial], count: int, gone: Collection[int]) -> set[int]:
    """The candidates that are being measured, by workers that are not `gone`."""
    running = [trial for trial in trials if trial.state == TrialState.RUNNING and trial.number not in gone]
    return {trial.number % count for trial in running}
