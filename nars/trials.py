"""The record of a trial: everything nars writes about a trial, typed.

Optuna stores such data as *user attributes*, a mapping from text to any value. Only this module
spells their keys; all other code reads and writes a `Record`. `nars.studies` is the same for studies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import TypeAdapter, ValidationError

from nars.errors import RunError
from nars.foreign.limits import MOST_NUMBER
from nars.internals import set_trial_attribute

__all__ = [
    "INTERRUPTED",
    "REFUSED",
    "SCORES",
    "Artifact",
    "Curve",
    "Measurement",
    "Purpose",
    "Record",
    "Void",
    "artifact_of",
    "check",
    "counts",
    "is_interrupted",
    "labels",
    "place",
    "write",
    "write_artifact",
]

Void = Literal["interrupted", "refused"]
"""Why a trial costs no budget."""

INTERRUPTED: Void = "interrupted"
"""The worker ended before the training did, so another trial repeats this one."""

REFUSED: Void = "refused"
"""The budget was already spent when the trial was asked for, or a measured cost exceeded its limit."""

Curve = Sequence[tuple[float, float]]
"""The scores of one training, in order, as pairs of (fraction of the training done, score)."""

Purpose = Literal["weights", "checkpoint", "reference"]
"""The use of a file in the store of a search: a trial's trained weights, the checkpoint from which a
repetition of the trial continues, or the reference of the study."""

Measurement = tuple[int, int, float]
"""A score within a training: epochs done, epochs of the recipe, score."""

SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
"""Scores that the record of a trained classifier has in `Record.measured`, whatever the metric is."""

_COSTS = ("macs", "params", "latency")
"""Costs that the record of a candidate has in `Record.measured`."""

_ARTIFACT = "artifact_"
"""Start of the user attributes of trials and studies that name a file in the store; the purpose follows."""


@dataclass(frozen=True)
class Artifact:
    """A file in the store of a search (`nars.artifacts`)."""

    id: str
    """Its name in the store, a random UUID."""
    size: int
    """Bytes."""
    sha256: str
    measurements: tuple[Measurement, ...] = ()
    """The scores until then, for a checkpoint."""

    @classmethod
    def of(cls, attribute: Mapping[str, Any]) -> Self:
        """Read what `asdict` gives after it went through JSON."""
        measurements = tuple((epoch, epochs, score) for epoch, epochs, score in attribute["measurements"])
        return cls(attribute["id"], attribute["size"], attribute["sha256"], measurements)


@dataclass(frozen=True)
class Record:
    """Everything known about a trial besides Optuna's own fields; a field is None until it is written."""

    worker: str | None = None
    """The process that trains the trial: host, process number and start time."""
    heartbeat: float | None = None
    """Time of the worker's last report, in seconds since 1970."""
    worked: float | None = None
    """Seconds in which the worker has worked on the trial, until its last report or the end."""
    deaths: int | None = None
    """How many workers have died with the trials that this one repeats."""
    seed: int | None = None
    epochs: int | None = None
    """Epochs trained, or while the trial runs, the most that it will train."""
    repeats: int | None = None
    """Number of the interrupted trial that this one repeats."""
    confirms: int | None = None
    """Number of the first trial of the candidate that this one trains again with another seed."""
    void: Void | None = None
    """Why the trial costs no budget: `INTERRUPTED` or `REFUSED`."""
    reason: str | None = None
    """Why the trial has no score, or only that of a partial training."""
    predicted: float | None = None
    """Score predicted when the trial was proposed."""
    predicted_sd: float | None = None
    """Standard deviation of `predicted`."""
    seconds: float | None = None
    """Duration of the training."""
    curve: Curve | None = None
    """Scores measured during the training."""
    estimate: tuple[float, ...] | None = None
    """Objective values that a training stopped early would have reached."""
    interval: tuple[float, float] | None = None
    """Ends of the 95 % interval of the score over the choice of val images."""
    artifact_weights: Artifact | None = None
    """The weights of the finished training."""
    artifact_checkpoint: Artifact | None = None
    """The checkpoint that the training continues from if it is interrupted."""
    confusion: Sequence[Sequence[int]] | None = None
    """Numbers of val images after the training [K, K]: a row for each class, a column for each answer."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Costs by name (``macs``, ``params``, ``latency`` in seconds), the score and other metrics likewise."""

    @classmethod
    def of(cls, trial: FrozenTrial | Trial) -> Self:
        """Read the record of a trial."""
        return cls.from_attributes(trial.user_attrs)

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        """Read what `attributes` returns after it went through JSON."""
        written = {key: attributes[key] for key in _KEYS if key in attributes}
        if "curve" in written:
            written["curve"] = [(fraction, score) for fraction, score in written["curve"]]
        for key in ("estimate", "interval"):
            if key in written:
                written[key] = tuple(written[key])
        for key in _ARTIFACTS & written.keys():
            written[key] = Artifact.of(written[key])
        measured = {key: value for key, value in attributes.items() if key not in _KEYS}
        return cls(measured=measured, **written)

    @property
    def attributes(self) -> dict[str, Any]:
        """The fields that are set, as Optuna stores them."""
        values = {key: getattr(self, key) for key in _KEYS}
        attributes = {key: value for key, value in values.items() if value is not None}
        if self.curve is not None:
            attributes["curve"] = [[fraction, score] for fraction, score in self.curve]
        for key, ends in (("estimate", self.estimate), ("interval", self.interval)):
            if ends is not None:
                attributes[key] = list(ends)
        for key in _ARTIFACTS & attributes.keys():
            attributes[key] = asdict(attributes[key])
        if self.confusion is not None:
            attributes["confusion"] = [list(row) for row in self.confusion]
        return attributes | dict(self.measured)


_KEYS = tuple(item.name for item in fields(Record) if item.name != "measured")
"""User attributes that are fields of a `Record`; every other key names a number in `Record.measured`."""

_ARTIFACTS = {f"{_ARTIFACT}weights", f"{_ARTIFACT}checkpoint"}
"""Those of them that name a file in the store."""


_ADAPTER = TypeAdapter(Record)
"""Checks the types of a record's fields."""


def check(
    trial: FrozenTrial, objectives: int, dimensions: Mapping[str, BaseDistribution] = MappingProxyType({})
) -> None:
    """Raise `RunError` that names the first attribute of a trial that is not as `write` wrote it.

    Whoever opens a study of others calls it for each trial, with the number of objectives and the space's
    dimensions; a `Record` itself is not checked.
    """
    _check_own_fields(trial, objectives)
    _check_params(trial, dimensions)
    attributes = trial.user_attrs
    fields = {key: attributes[key] for key in _KEYS if key in attributes and key != "void"}
    costs = {key: attributes[key] for key in (*_COSTS, *SCORES) if key in attributes}
    try:
        _ADAPTER.validate_json(json.dumps(fields | {"measured": costs}), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(map(str, first["loc"])) or "its record"
        raise RunError(f"trial {trial.number}: {name[:80]} is damaged: {first['msg']}") from None
    wrong = next((key for key, value in fields.items() if not _is_in_range(value)), None)
    if wrong is not None:
        raise RunError(f"trial {trial.number}: {wrong} has a number that is not finite, or too large")


def _check_own_fields(trial: FrozenTrial, objectives: int) -> None:
    """Raise `RunError` for fields of Optuna's that have other types than it writes."""
    values = trial.values
    right = isinstance(values, list) and len(values) == objectives and all(map(_is_number, values))
    if not right and (values is not None or trial.state == TrialState.COMPLETE):
        raise RunError(f"trial {trial.number}: values is damaged: expected {objectives} numbers")
    for name, mapping in (
        ("user_attrs", trial.user_attrs),
        ("system_attrs", trial.system_attrs),
        ("params", trial.params),
    ):
        if not isinstance(mapping, dict):
            raise RunError(f"trial {trial.number}: {name} is damaged: expected names and values")
    reported = trial.intermediate_values
    if not all(type(step) is int and _is_number(value) for step, value in reported.items()):
        raise RunError(f"trial {trial.number}: intermediate_values is damaged: expected steps and scores")


def _check_params(trial: FrozenTrial, dimensions: Mapping[str, BaseDistribution]) -> None:
    """Raise `RunError` for a candidate that is not whole, or outside of its ranges."""
    if trial.params and trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        missing = next((name for name in dimensions if name not in trial.params), None)
        if missing is not None:
            raise RunError(f"trial {trial.number}: params.{missing} is missing, so the study is damaged")
    for name, value in trial.params.items():
        if not all(_holds(range_of, value) for range_of in (trial.distributions[name], dimensions.get(name))):
            raise RunError(f"trial {trial.number}: params.{name[:80]} is damaged: it is outside of its range")


def _holds(range_of: BaseDistribution | None, value: Any) -> bool:
    """Whether a range, if there is one, has a value."""
    if isinstance(range_of, IntDistribution | FloatDistribution):
        return _is_number(value) and range_of.low <= value <= range_of.high
    return not isinstance(range_of, CategoricalDistribution) or value in range_of.choices


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a float holds."""
    return isinstance(value, float) or (type(value) is int and abs(value) <= MOST_NUMBER)


def _is_in_range(value: Any) -> bool:
    """Whether every number in a value is finite and of a usual size."""
    if isinstance(value, dict | list):
        return all(map(_is_in_range, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or abs(value) <= MOST_NUMBER


def write(study: Study, trial: FrozenTrial | Trial, record: Record) -> None:
    """Write the fields of `record` that are set; other fields of the trial's record stay as they are."""
    for key, value in record.attributes.items():
        if isinstance(trial, Trial):
            trial.set_user_attr(key, value)
        else:
            set_trial_attribute(study, trial, key, value)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial costs budget, because it was trained or is being trained."""
    return trial.state != TrialState.WAITING and not trial.user_attrs.get("void")


def is_interrupted(trial: FrozenTrial) -> bool:
    """Whether a trial ended before its training did."""
    return trial.user_attrs.get("void") == INTERRUPTED


def place(trials: Sequence[FrozenTrial], number: int) -> int:
    """Count the proposals that came before the trial with this number.

    An interrupted trial and its repetition count as one, so a resumed search counts like an
    uninterrupted one.
    """
    earlier = (trial for trial in trials if trial.number < number and trial.state != TrialState.WAITING)
    return sum(not is_interrupted(trial) for trial in earlier)


def labels(study: Study, trial: FrozenTrial, *, estimated: bool = True) -> list[float] | None:
    """Return the finite objective values of a trial, or None.

    A trial that was stopped early has estimates of its final values instead, unless it is not `estimated`
    since it is of no search of ours, or, with one objective, the last score that it reported.
    """
    values: Sequence[float] | None = trial.values
    if trial.state == TrialState.PRUNED:
        values = values if len(study.directions) == 1 else None
        values = trial.user_attrs.get("estimate", values) if estimated else values
    elif trial.state != TrialState.COMPLETE:
        return None
    return [float(value) for value in values] if values is not None and np.isfinite(values).all() else None


def artifact_of(owner: Study | Trial | FrozenTrial, purpose: Purpose) -> Artifact | None:
    """Return the file for `purpose` that a trial or a study has in the store; None if it never had one."""
    attribute = owner.user_attrs.get(_ARTIFACT + purpose)
    return None if attribute is None else Artifact.of(attribute)


def write_artifact(owner: Study | Trial, purpose: Purpose, artifact: Artifact) -> None:
    """Name the file for `purpose` that a running trial or a study has in the store."""
    owner.set_user_attr(_ARTIFACT + purpose, asdict(artifact))
