"""Trains the winner of a search in full, after the budget.

    weights/finished.pt     its weights; those of the search stay in best.pt
    weights/finished.json   what they were trained for, and their scores

The same call again, for the same winner, epochs and data, trains nothing; after an interruption it continues.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.study import Study

from nars.errors import RunError, continued
from nars.files import sha256_of, write_whole
from nars.runs.run import Run
from nars.searching.results import best_candidate, winner
from nars.spec import Trainable
from nars.training.loop import Progress
from nars.trials import Record
from nars.workers.weights import REFERENCE, WEIGHTS

__all__ = ["Finished", "finish"]

_FILE = f"{WEIGHTS}/finished.pt"
"""The weights in a run folder."""

_SCORES = f"{WEIGHTS}/finished.json"
"""Their scores; written last, so weights without it are of a training that was cut off."""


@dataclass(frozen=True)
class Finished:
    """The winner of a search, trained in full."""

    file: str
    """The weights, in the run folder."""
    metric: str
    val: float
    """Score on val."""
    test: Mapping[str, float]
    """Scores on test by name; empty without a test split."""
    epochs: int
    seconds: float
    """Duration of the training."""


def finish(
    run: Run,
    study: Study,
    epochs: int | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
) -> Finished:
    """Train the winner by its recipe, for `epochs` if given, into ``weights/finished.pt`` of the run folder.

    The seed is that of the winner's run in ``weights/best.pt``, and it inherits what candidates inherited.
    Raises `RunError` if no candidate was trained in full, `SpecError` for epochs that the recipe cannot have,
    `DataError`, and `TrialError` if the training fails.
    """
    config = run.config
    best = winner(study, config)
    candidate = best_candidate(config, best)
    if epochs is not None:
        candidate = candidate.for_epochs(epochs)
    seed = Record.of(study.get_trials(deepcopy=False)[best.median]).seed
    assert seed is not None
    asked = _asked(run, candidate, seed)
    if (done := _done(run.folder, asked)) is not None:
        return done
    with continued():
        return _train(run, candidate, seed, asked, on_epoch)


def _train(
    run: Run,
    candidate: Trainable,
    seed: int,
    asked: Mapping[str, Any],
    on_epoch: Callable[[Progress], None] | None,
) -> Finished:
    config, file = run.config, run.folder / _FILE
    task = config.open_task()
    if not task.is_of(config.data_fingerprint):
        raise RunError(f"the data at {config.data} are not those of {run.folder}")
    if config.reference is not None:
        task = task.inheriting(task.parent_in(run.folder / REFERENCE))
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    checkpoint = file.with_name(f"finished-{digest}.checkpoint")
    for other in file.parent.glob("finished-*.checkpoint"):
        if other != checkpoint:  # of an earlier winner, or for other epochs
            other.unlink()

    def watch(progress: Progress) -> bool:
        if on_epoch is not None:
            on_epoch(progress)
        return True

    outcome = task.run(candidate, seed=seed, on_epoch=watch, checkpoint=checkpoint)
    if outcome.write is None:
        raise RunError(f"the task {config.task} does not give away the weights of its trainings")
    outcome.write(file)
    test = {} if outcome.test is None else dict(outcome.test())
    finished = Finished(_FILE, config.objectives[0], outcome.score, test, outcome.epochs, outcome.seconds)
    scores = asdict(finished) | {"asked": asked, "sha256": sha256_of(file)}
    write_whole(run.folder / _SCORES, json.dumps(scores, indent=2) + "\n")
    checkpoint.unlink(missing_ok=True)
    return finished


def _asked(run: Run, candidate: Trainable, seed: int) -> dict[str, Any]:
    """Everything that decides the result."""
    config = run.config
    return {
        "candidate": candidate.to_yaml(),
        "seed": seed,
        "init": config.init,
        "data": config.data_fingerprint,
    }


def _done(folder: Path, asked: Mapping[str, Any]) -> Finished | None:
    """Return the scores of the training that is asked for; None if it was not done to the end."""
    try:
        scores = json.loads((folder / _SCORES).read_text(encoding="utf-8"))
        if scores.pop("asked") != asked or scores.pop("sha256") != sha256_of(folder / _FILE):
            return None
        return Finished(**scores)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # missing, or not what was written
        return None
