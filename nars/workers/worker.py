"""The search loop: ask for a candidate, train it, tell its score, until the budget is spent.

Any number of workers run `work` on one storage and communicate through the study alone. Its trials
determine which trial may train, when a training stops early and when candidates are confirmed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from nars.errors import InfeasibleError, TrialError
from nars.searching.pruners import make_pruner
from nars.searching.wrappers import SearchSampler
from nars.trials import REFUSED, Record, counts, write
from nars.workers.keeper import Keeper, discard_checkpoint
from nars.workers.liveness import Heartbeat, returned_if_interrupted, worker_name
from nars.workers.reference import inheriting
from nars.workers.search import Search
from nars.workers.trial import Ending, Watch, describe, failed, refused

__all__ = ["work"]

logger = logging.getLogger(__name__)

MOST_REFUSED = 50
"""Consecutive refused proposals after which a search gives up."""


def work(search: Search, study: Study) -> None:
    """Train candidates as one worker of a search until the budget is spent.

    If the search has a reference, it is fine-tuned first. Raises `InfeasibleError` if no candidate meets the
    limits, and `RunError` for a reference that cannot be made or read.
    """
    search = inheriting(search, study)
    signature = Record(worker=worker_name(), epochs=search.space.most_epochs)
    study.sampler = SearchSampler.of(search.config, search.domain, signature, search.budget, search.foretold)
    study.pruner = make_pruner(search.config.pruner)
    refusals = 0
    while not search.budget.is_spent(study.get_trials(deepcopy=False)):
        with returned_if_interrupted(study, search.space):
            trial = study.ask(search.distributions)
            ending = attempt(search, study, trial)
            write(study, trial, ending.record)
            study.tell(trial, ending.values, state=ending.state)
            discard_checkpoint(search.store, trial)
        refusals = refusals + 1 if ending.record.void else 0
        if refusals >= MOST_REFUSED:
            raise InfeasibleError(_why_nothing_fits(study.get_trials(deepcopy=False)))


def attempt(search: Search, study: Study, trial: Trial) -> Ending:
    """Train the candidate of a trial, unless the budget or a measured limit forbids it."""
    before = [other for other in study.get_trials(deepcopy=False) if other.number < trial.number]
    if not search.budget.grants(before, trial.number):
        return refused("the budget was spent by other workers")
    earlier = [other for other in before if counts(other)]
    candidate = search.space.decode(trial.params, name=f"trial{trial.number}")
    watch = Watch(search, study, trial, earlier)
    try:
        record = describe(search, trial, candidate, earlier)
        write(study, trial, record)
        for name, limit in search.config.limits.items():
            trial.set_constraint(name, record.measured[name] - limit)
        if (broken := search.broken_limit(record.measured)) is not None:
            return refused(broken)
        assert record.seed is not None
        with Heartbeat(study, trial), Keeper(search.store, trial) as keeper:
            outcome = keeper.run(search.task, candidate.on(search.config.data), record.seed, watch)
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
