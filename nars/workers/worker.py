"""The search loop: ask for a candidate, train it, tell its score, until the budget is spent.

Any number of workers run `work` on one storage and communicate through the study alone. Its trials
determine which trial may train, when a training stops early and when candidates are confirmed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.errors import InfeasibleError, TrialError
from nars.searching.pruners import make_pruner
from nars.searching.wrappers import SearchSampler
from nars.trials import REFUSED, Record, counts, write
from nars.workers.keeper import Keeper, discard_checkpoint
from nars.workers.liveness import Heartbeat, Stopwatch, Witness, worker_name
from nars.workers.reference import inheriting
from nars.workers.requeue import needless, returned_if_interrupted, roll_call
from nars.workers.search import Search
from nars.workers.trial import Ending, Watch, describe, failed, refused

__all__ = ["work"]

logger = logging.getLogger(__name__)

MOST_REFUSED = 50
"""Consecutive refused proposals after which a search gives up."""

POLL_SECONDS = 0.5
"""Seconds between two looks at the other workers, once the budget is spent."""


def work(search: Search, study: Study, *, alone: bool = True) -> None:
    """Train candidates as one worker of a search until the budget is spent.

    If the search has a reference, it is fine-tuned first. A worker `alone`, whom nobody supervises, watches
    the others: it trains again what one of them died with. Raises `InfeasibleError` if no candidate meets the
    limits, and `RunError` for a reference that cannot be made or read.
    """
    search = inheriting(search, study)
    witness = Witness() if alone else None
    signature = Record(worker=worker_name(), epochs=search.space.most_epochs)
    study.sampler = SearchSampler.of(
        search.config, search.domain, signature, search.budget, search.foretold, search.first
    )
    study.pruner = make_pruner(search.config.pruner)
    refusals = 0
    while _goes_on(search, study, witness):
        refusals = refusals + 1 if _one_trial(search, study, witness) else 0
        if refusals >= MOST_REFUSED:
            raise InfeasibleError(_why_nothing_fits(study.get_trials(deepcopy=False)))
    logger.info("the budget of %s is spent, and no trial is left to train again", search.budget)


def _goes_on(search: Search, study: Study, witness: Witness | None) -> bool:
    """Whether there is more to train: the budget is not spent, or somebody may have died with a part of it.

    A worker that was heard since this one began to watch is trusted to see its trial to the end.
    """
    while search.budget.is_spent(trials := study.get_trials(deepcopy=False)):
        if witness is None:
            return False
        roll_call(study, search.space, witness)
        running = (trial for trial in trials if trial.state == TrialState.RUNNING)
        if all(map(witness.knows_alive, running)):
            return False
        time.sleep(POLL_SECONDS)
    return True


def _one_trial(search: Search, study: Study, witness: Witness | None) -> bool:
    """Ask, train, tell; True if the candidate was refused.

    A trial that was taken from this worker, which somebody thought gone, is left to whom it was given to.
    """
    stopwatch = Stopwatch()
    with returned_if_interrupted(study, search.space):
        try:
            trial = study.ask(search.distributions)
        except UpdateFinishedTrialError:
            logger.warning("a trial was given to another worker while its candidate was proposed")
            return False
        logger.info("trial %d begins", trial.number)
        try:
            ending = attempt(search, study, trial, _heartbeat(search, study, trial, stopwatch, witness))
            write(study, trial, replace(ending.record, worked=round(stopwatch.seconds, 3)))
            study.tell(trial, ending.values, state=ending.state)
        except (UpdateFinishedTrialError, ValueError):
            if study.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING:
                raise
            logger.warning("trial %d was given to another worker meanwhile", trial.number)
            return False
        _log_ending(search, trial, ending)
        if ending.record.void is None:  # else another repetition may go on from it
            discard_checkpoint(search.store, trial)
    return ending.record.void is not None


def _log_ending(search: Search, trial: Trial, ending: Ending) -> None:
    """Log how a trial ended, unless it failed, which is logged with the error."""
    if ending.values is not None:
        logger.info("trial %d: %s %.4g", trial.number, search.config.objectives[0], ending.values[0])
    elif ending.record.void:
        logger.info("trial %d is not trained: %s", trial.number, ending.record.reason)
    elif ending.state == TrialState.PRUNED:
        logger.info("trial %d: %s", trial.number, ending.record.reason)


def _heartbeat(
    search: Search, study: Study, trial: Trial, stopwatch: Stopwatch, witness: Witness | None
) -> Heartbeat:
    if witness is None:
        return Heartbeat(study, trial, stopwatch)
    return Heartbeat(study, trial, stopwatch, lambda: roll_call(study, search.space, witness))


def attempt(search: Search, study: Study, trial: Trial, heartbeat: Heartbeat) -> Ending:
    """Train the candidate of a trial, unless the budget or a measured limit forbids it."""
    before = [other for other in study.get_trials(deepcopy=False) if other.number < trial.number]
    if (why := needless(study, trial, before)) is not None:
        return refused(why)
    if Record.of(trial).repeats is not None:  # its original has ended only just now, perhaps
        before = [other for other in study.get_trials(deepcopy=False) if other.number < trial.number]
    if not search.budget.grants(before, trial.number):
        return refused("the budget was spent by other workers")
    earlier = [other for other in before if counts(other)]
    candidate = search.space.decode(trial.params, name=f"trial{trial.number}")
    watch = Watch(search, study, trial, earlier)
    try:
        record = describe(search, trial, candidate, before)
        write(study, trial, record)
        for name, limit in search.config.limits.items():
            trial.set_constraint(name, record.measured[name] - limit)
        if (broken := search.broken_limit(record.measured)) is not None:
            return refused(broken)
        assert record.seed is not None
        with heartbeat, Keeper(search.store, trial) as keeper:
            outcome = keeper.run(search.task, search.config.naming_data(candidate), record.seed, watch)
            ending = watch.ending(outcome, record.measured)
            if ending.values is not None:
                keeper.keep_weights(outcome)
            return ending
    except TrialError as error:
        logger.warning("trial %d failed: %s", trial.number, error)
        return failed(error, epochs=min(watch.epochs + 1, candidate.epochs))


def _why_nothing_fits(trials: Sequence[FrozenTrial]) -> str:
    """Say how far the refused candidates were from the limits when they were measured."""
    records = [record for record in map(Record.of, trials) if record.void == REFUSED]
    text = f"{len(records)} candidates were over a limit when measured, the last with {records[-1].reason}"
    latencies = [record.measured["latency"] for record in records if "latency" in record.measured]
    return text + (f"; the smallest latency was {min(latencies):.4g}" if latencies else "")
