"""How a trial is trained again, once, whose worker was stopped or is gone.

Several processes may see the same death. Each of them may queue a repetition: of those of a trial, only the
first trains. All processes agree on which that is, because it has the smallest number.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.errors import StorageAwayError
from nars.runs.outage import impatient
from nars.space.base import SearchSpace
from nars.trials import INTERRUPTED, Record, write
from nars.workers.liveness import Witness, is_gone, is_here, worker_name

__all__ = ["bury", "interrupt", "needless", "reap", "returned_if_interrupted", "roll_call"]

logger = logging.getLogger(__name__)


def reap(study: Study, space: SearchSpace) -> list[int]:
    """End the trials whose worker is known to be gone and queue each to be trained again.

    Returns their numbers. This is for the start of a search, when nobody has seen how the workers ended, so
    it is not held against their trials.
    """
    trials = study.get_trials(deepcopy=False)
    gone = [trial for trial in trials if trial.state == TrialState.RUNNING and is_gone(trial)]
    for trial in gone:
        interrupt(study, trial, space)
    return [trial.number for trial in gone]


def roll_call(study: Study, space: SearchSpace, witness: Witness) -> list[int]:
    """Let a witness look at all workers, `bury` the trials of those that are gone; return their numbers."""
    gone = witness.look(study.get_trials(deepcopy=False))
    for trial in gone:
        bury(study, trial, space, "died" if is_here(trial) else "was not heard any more")
    return [trial.number for trial in gone]


def bury(study: Study, trial: FrozenTrial, space: SearchSpace, how: str) -> None:
    """End a trial whose worker died alone, and queue it again; the second time it fails with the reason.

    `how` the worker died completes the sentence that begins with "its worker".
    """
    if Record.of(trial).deaths:
        reason = f"two workers died with it, the last one {how}"
        logger.warning("trial %d fails: %s", trial.number, reason)
        _end(study, trial, Record(reason=reason))
        return
    logger.warning("trial %d is trained again: its worker %s", trial.number, how)
    interrupt(study, trial, space, died=True)


def interrupt(study: Study, trial: FrozenTrial, space: SearchSpace, *, died: bool = False) -> None:
    """End an interrupted trial, which costs no budget, and queue it again with its seed and checkpoint.

    The repetition is queued first, so a kill in between leaves a running trial that is found again. A trial
    without its complete genotype is not queued, because the sampler will propose the same genotype again.
    """
    genotype = _genotype(trial)
    repeated = {Record.of(other).repeats for other in study.get_trials(deepcopy=False)}
    if trial.number not in repeated and space.distributions.keys() <= genotype.keys():
        record = Record.of(trial)
        repetition = Record(
            repeats=trial.number,
            seed=record.seed,
            deaths=1 if died else record.deaths,
            predicted=record.predicted,
            predicted_sd=record.predicted_sd,
            artifact_checkpoint=record.artifact_checkpoint,
        )
        study.enqueue_trial(genotype, user_attrs=repetition.attributes)
    _end(study, trial, Record(void=INTERRUPTED, reason="interrupted"))


def needless(study: Study, trial: Trial, before: Sequence[FrozenTrial]) -> str | None:
    """Return why a repetition must not train; None if it must, or if the trial repeats none.

    `before` are the trials with smaller numbers.
    """
    repeats = Record.of(trial).repeats
    if repeats is None:
        return None
    original = before[repeats]
    if original.state == TrialState.RUNNING:  # who queued the repetition has not come to that, or was killed
        _end(study, original, Record(void=INTERRUPTED, reason="interrupted"))
        original = study.get_trials(deepcopy=False)[repeats]
    if Record.of(original).void != INTERRUPTED:
        return f"trial {repeats} has ended after all"
    first = next((other.number for other in before if Record.of(other).repeats == repeats), None)
    return None if first is None else f"trial {first} repeats trial {repeats}"


def _genotype(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters of a trial, also of a queued one whose worker has not yet written them down."""
    fixed: Mapping[str, Any] = trial.system_attrs.get("fixed_params", {})
    return {**fixed, **trial.params}


def _end(study: Study, trial: FrozenTrial, record: Record) -> None:
    """Fail a running trial, unless somebody else has ended it in the meantime."""
    with contextlib.suppress(UpdateFinishedTrialError):
        write(study, trial, record)
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


@contextlib.contextmanager
def returned_if_interrupted(study: Study, space: SearchSpace) -> Iterator[None]:
    """Interrupt this worker's trials if the block raises; finished trials keep their result.

    If the storage is away, they are left to those who find that this process is gone.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(StorageAwayError), impatient():
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if Record.of(trial).worker == worker_name():
                    interrupt(study, trial, space)
        raise
