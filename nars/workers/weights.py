"""The weights that a search leaves in its run folder, and those that it deletes from its store.

    weights/best.pt           the winner: of its runs, the one with the median score
    weights/front/trialN.pt   each candidate of the front, by the number of its first trial
    weights/reference.pt      the fine-tuned parent, if the search has one

The store keeps the weights of the winner, of the front and of the best few candidates by score, in all their
runs, and the checkpoints of trials that are not finished. Everything else is deleted in time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.artifacts.files import fetch
from nars.artifacts.location import FOLDER
from nars.artifacts.store import Store, open_store
from nars.errors import RunError
from nars.files import sha256_of
from nars.internals import uploads
from nars.networks.weights import load_weights
from nars.runs.config import SearchConfig
from nars.runs.run import Run
from nars.searching import confirm
from nars.searching.confirm import Measured
from nars.searching.results import best_candidate, front_table, winner
from nars.spec import Candidate
from nars.trials import Record, artifact_of

__all__ = [
    "BEST",
    "FRONT",
    "REFERENCE",
    "WEIGHTS",
    "find_weights",
    "prune",
    "write_weights",
]

logger = logging.getLogger(__name__)

WEIGHTS = "weights"
"""The folder of weights in a run folder."""

BEST = f"{WEIGHTS}/best.pt"
"""The winner's file in a run folder."""

FRONT = f"{WEIGHTS}/front"
"""The folder of the front in a run folder."""

REFERENCE = f"{WEIGHTS}/reference.pt"
"""The file of the fine-tuned parent in a run folder."""

_BEST_KEPT = 5
"""Candidates whose weights are kept for their score, because confirmation may yet make one the winner."""


def write_weights(run: Run, study: Study, store: Store) -> None:
    """Write the weights of the reference, of the winner and of the front, as far as the store has them.

    Files that were written for other trials are deleted. A full disk is logged.
    """
    _write_reference(run, study, store)
    front = front_table(study, run.config)["trial"]
    if front.empty:
        return
    files = {run.folder / BEST: winner(study, run.config)}
    trials = study.get_trials(deepcopy=False)  # read last: workers may have finished more of them meanwhile
    measured = confirm.measured(trials)
    candidates = {number: candidate for candidate in measured for number in candidate.numbers}
    files |= {run.folder / FRONT / f"trial{number}.pt": candidates[number] for number in front}
    for target in (run.folder / FRONT).glob("trial*.pt"):
        if target not in files:
            target.unlink(missing_ok=True)
    try:
        for target, candidate in files.items():
            if not _write(target, candidate, trials, store):
                _delete_if_of_another(target, candidate, trials)
    except RunError as error:
        logger.warning("%s; the search has its scores", error)


def _write_reference(run: Run, study: Study, store: Store) -> None:
    artifact, target = artifact_of(study, "reference"), run.folder / REFERENCE
    if artifact is None or _digest(target) == artifact.sha256:
        return
    try:
        fetch(study, store, "reference", target)
    except RunError as error:
        logger.warning("%s; the search has it in its store", error)


def prune(study: Study, config: SearchConfig, store: Store) -> None:
    """Delete from the store what no trial needs any more."""
    trials = study.get_trials(deepcopy=False)
    kept = set(_kept_numbers(study, config, trials))
    unfinished = [Record.of(trial) for trial in trials if not trial.state.is_finished()]
    needed = {record.artifact_checkpoint.id for record in unfinished if record.artifact_checkpoint}
    for trial in trials:
        if trial.state.is_finished():
            for name in _unneeded(trial, is_kept=trial.number in kept):
                if name not in needed:
                    store.remove(name)


def find_weights(run: Run, study: Study, candidate: Measured, scratch: Path) -> Path | None:
    """Return the file with the weights of a classifier that a search has measured; None if there is none.

    It is one in ``weights/`` of the run folder, which `nars train` may have made and no other candidate of
    this architecture, or one that the folder's own store still has, copied to `scratch`. Raises
    `WeightsError` for a file that cannot be read.
    """
    best = best_candidate(run.config, candidate)
    assert isinstance(best, Candidate), "the weights of classifiers are asked for"
    wanted, trials = best.architecture, study.get_trials(deepcopy=False)
    names = [BEST] if candidate == winner(study, run.config) else []
    for name in (*names, f"{FRONT}/trial{candidate.numbers[0]}.pt"):
        file = run.folder / name
        if not file.exists() or _is_of_another(file, candidate, trials):
            continue
        if load_weights(file).candidate.architecture.replace(name=wanted.name) == wanted:
            return file
    folder = run.folder / FOLDER
    if not folder.is_dir():
        return None
    store = open_store(folder)
    fetched = (
        fetch(trials[number], store, "weights", scratch) for number in candidate.by_closeness_to_median
    )
    return next(filter(None, fetched), None)


def _kept_numbers(study: Study, config: SearchConfig, trials: Sequence[FrozenTrial]) -> Iterator[int]:
    """Yield the numbers of the trials whose weights are kept."""
    candidates = confirm.measured(trials)
    if not candidates:
        return
    front = set(front_table(study, config)["trial"])
    best = sorted(candidates, key=lambda candidate: -candidate.mean[0])[:_BEST_KEPT]
    on_front = [candidate for candidate in candidates if candidate.numbers[0] in front]
    for candidate in (winner(study, config), *best, *on_front):
        yield from candidate.numbers


def _unneeded(trial: FrozenTrial, is_kept: bool) -> list[str]:
    """Return the files of a finished trial: all but its weights if they are kept.

    A trial that did not succeed may also have left a file that was cut off when its worker was killed.
    """
    record = Record.of(trial)
    if trial.state != TrialState.COMPLETE:
        return uploads(trial)
    files = [record.artifact_checkpoint, None if is_kept else record.artifact_weights]
    return [file.id for file in files if file is not None]


def _write(target: Path, candidate: Measured, trials: Sequence[FrozenTrial], store: Store) -> bool:
    """Write the weights of a candidate's most typical run that has any; False if none has."""
    for number in candidate.by_closeness_to_median:
        artifact = Record.of(trials[number]).artifact_weights
        if artifact is None:
            continue
        if _digest(target) == artifact.sha256 or fetch(trials[number], store, "weights", target):
            return True
    return False


def _delete_if_of_another(target: Path, candidate: Measured, trials: Sequence[FrozenTrial]) -> None:
    """Delete a file that was written for another candidate; one that the user made stays."""
    if _is_of_another(target, candidate, trials):
        target.unlink()


def _is_of_another(file: Path, candidate: Measured, trials: Sequence[FrozenTrial]) -> bool:
    """Whether a file, if there is one, was written for another candidate."""
    others = [Record.of(trial) for trial in trials if trial.number not in candidate.numbers]
    digest = _digest(file)
    return any(record.artifact_weights and record.artifact_weights.sha256 == digest for record in others)


def _digest(file: Path) -> str | None:
    return sha256_of(file) if file.is_file() else None
