"""The record of a trial: everything nars writes about a trial or a study, typed.

Optuna stores such things as *user attributes*, a mapping from text to anything. Only this module
spells their keys: everybody else reads a `Record` and writes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.internals import set_trial_attribute

__all__ = [
    "INTERRUPTED",
    "REFUSED",
    "Curve",
    "Record",
    "Void",
    "config_text",
    "counts",
    "labels",
    "latency_samples",
    "place",
    "write",
    "write_config_text",
    "write_latency_samples",
]

Void = Literal["interrupted", "refused"]

INTERRUPTED: Void = "interrupted"
"""The worker ended before the training did; another trial repeats this one."""

REFUSED: Void = "refused"
"""The budget was spent when the trial was asked for, or a measured limit did not hold."""

Curve = Sequence[tuple[float, float]]
"""Scores of one training as (fraction of the training done, score), in order."""

_CONFIG = "config"
"""User attribute of a study: the search as YAML, so that a worker needs only the storage."""

_LATENCY_SAMPLES = "latency_samples"
"""User attribute of a study: genotype rows and seconds that its latency model learns from."""


@dataclass(frozen=True)
class Record:
    """What is known about a trial besides Optuna's own fields; None where nothing was written."""

    worker: str | None = None
    """The process that trains the trial: host, process number and start time."""
    heartbeat: float | None = None
    """When the worker last reported, in seconds since 1970."""
    seed: int | None = None
    epochs: int | None = None
    """Epochs trained; while the trial runs, the most that it will train."""
    repeats: int | None = None
    """Number of the interrupted trial that this one repeats."""
    confirms: int | None = None
    """Number of the first trial of the candidate that this one trains again with another seed."""
    void: Void | None = None
    """Why the trial costs no budget: `INTERRUPTED` or `REFUSED`."""
    reason: str | None = None
    """Why the trial has no score, or not a full one."""
    predicted: float | None = None
    """The score predicted when the trial was proposed."""
    predicted_sd: float | None = None
    """Standard deviation of that prediction."""
    seconds: float | None = None
    """Duration of the training."""
    curve: Curve | None = None
    estimate: tuple[float, ...] | None = None
    """Objectives that a training stopped early would have reached."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Costs by name (``macs``, ``params``, ``latency`` in seconds) and the score under its metric's name."""

    @classmethod
    def of(cls, trial: FrozenTrial | Trial) -> Record:
        """Read the record of a trial."""
        attributes = trial.user_attrs
        known = {key: attributes[key] for key in _KEYS if key in attributes}
        if "curve" in known:
            known["curve"] = [(at, score) for at, score in known["curve"]]
        if "estimate" in known:
            known["estimate"] = tuple(known["estimate"])
        measured = {key: value for key, value in attributes.items() if key not in _KEYS}
        return cls(measured=measured, **known)

    @property
    def attributes(self) -> dict[str, Any]:
        """The fields that are set, as Optuna stores them."""
        known = {key: getattr(self, key) for key in _KEYS}
        given = {key: value for key, value in known.items() if value is not None}
        if self.curve is not None:
            given["curve"] = [[at, score] for at, score in self.curve]
        if self.estimate is not None:
            given["estimate"] = list(self.estimate)
        return given | dict(self.measured)


_KEYS = tuple(each.name for each in fields(Record) if each.name != "measured")
"""Keys of user attributes; every other key names a number in `Record.measured`."""


def write(study: Study, trial: FrozenTrial | Trial, record: Record) -> None:
    """Add the fields of `record` that are set to what is written about a trial."""
    for key, value in record.attributes.items():
        if isinstance(trial, Trial):
            trial.set_user_attr(key, value)
        else:
            set_trial_attribute(study, trial, key, value)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial uses up budget: it was trained, or is being trained."""
    return trial.state != TrialState.WAITING and not trial.user_attrs.get("void")


def place(trials: Sequence[FrozenTrial], number: int) -> int:
    """How many proposals came before the trial of this number.

    An interrupted trial and its repetition are one, so a resumed search counts like one that was
    not interrupted.
    """
    earlier = (trial for trial in trials if trial.number < number and trial.state != TrialState.WAITING)
    return sum(trial.user_attrs.get("void") != INTERRUPTED for trial in earlier)


def labels(study: Study, trial: FrozenTrial) -> list[float] | None:
    """The finite objective values known of a trial; None if it failed or still runs."""
    values: Sequence[float] | None = trial.values
    if trial.state == TrialState.PRUNED:
        values = trial.user_attrs.get("estimate", values if len(study.directions) == 1 else None)
    elif trial.state != TrialState.COMPLETE:
        return None
    return [float(value) for value in values] if values is not None and np.isfinite(values).all() else None


def config_text(study: Study) -> str | None:
    """The configuration of the search that a study was made for, as YAML; None if nars did not make it."""
    text: str | None = study.user_attrs.get(_CONFIG)
    return text


def write_config_text(study: Study, text: str) -> None:
    """Keep the configuration of a search in its study."""
    study.set_user_attr(_CONFIG, text)


def latency_samples(study: Study) -> list[tuple[list[float], float]] | None:
    """Genotype rows [d] and the seconds measured for them; None before they were measured."""
    samples: list[tuple[list[float], float]] | None = study.user_attrs.get(_LATENCY_SAMPLES)
    return samples


def write_latency_samples(study: Study, samples: Sequence[tuple[Sequence[float], float]]) -> None:
    """Keep the samples of a latency model in its study, for every worker and every restart."""
    study.set_user_attr(_LATENCY_SAMPLES, [[list(row), seconds] for row, seconds in samples])
