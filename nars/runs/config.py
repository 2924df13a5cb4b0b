"""A search, as its run folder, its workers and its resumption agree on it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from optuna.study import StudyDirection
from pydantic import Field, SerializeAsAny, model_validator

from nars.documents import Document
from nars.errors import RunError
from nars.foreign.limits import MOST_SEED
from nars.predictors.knowledge import EarlierSearch
from nars.runs.budget import Budget
from nars.runs.request import STATISTICS, PredictorName
from nars.space import Space
from nars.space.base import SearchSpace
from nars.spec import Trainable
from nars.tasks import SPACES, reference_of, space_of
from nars.tasks.differences import epochs_of, reference_difference, space_difference
from nars.tasks.reference import FineTuning

if TYPE_CHECKING:
    from nars.tasks.base import Task  # which imports torch

__all__ = ["STATISTICS", "SearchConfig"]

_CHANGEABLE = {"budget", "device", "description"}
"""Fields that may change when a run continues."""

_NAMES = ("digits", "clothing", "digit-scenes")
"""Data that come with nars."""


class SearchConfig(Document):
    """Everything that defines a search.

    `space` already has the number of classes of the data, and holds what ``--fix`` names. `budget` and
    `device` may change when the search continues. Raises `SpecError`, and `UsageError` for a wrong budget.
    """

    kind: ClassVar[str] = "search"

    space: SerializeAsAny[SearchSpace]
    task: str = "classification"
    data: str = "digits"
    data_fingerprint: str
    """Identifies the content of the data, as the task computes it."""
    drop_bad: bool = False
    init: str = "none"
    """The parent that candidates inherit from, by its name."""
    reference: SerializeAsAny[FineTuning] | None = None
    """How the parent is fine-tuned first; None if candidates inherit from it as it is."""
    objectives: Annotated[tuple[str, ...], Field(min_length=1)] = ("accuracy",)
    """The task's metric first, then statistics to be traded against it."""
    limits: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Largest allowed ``macs``, ``params`` and ``latency`` (seconds) of a trained candidate."""
    sampler: str = "nars"
    predictor: PredictorName = "gaussian"
    """Model that guides the sampler ``nars``; the other samplers have none."""
    warm_start: tuple[EarlierSearch, ...] = ()
    """Measurements of earlier searches that the sampler ``nars`` learns from."""
    pruner: str = "none"
    early_stopping: bool = True
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0
    budget: str = "64"
    device: str = "auto"
    description: Annotated[str, Field(exclude=True)] = ""
    """A line about the data, for the study that is made; no file has it."""

    @model_validator(mode="before")
    @classmethod
    def _of_task(cls, fields: Any) -> Any:
        """Read the space and the reference as those of their task's kind."""
        if not isinstance(fields, dict):
            return fields
        task = str(fields.get("task", cls.model_fields["task"].default))
        readers = {"space": space_of, "reference": reference_of}
        given = {name: read for name, read in readers.items() if isinstance(fields.get(name), dict)}
        return fields | {name: read(task, fields[name]) for name, read in given.items()}

    @model_validator(mode="after")
    def _rules(self) -> SearchConfig:
        for name in (*self.objectives[1:], *self.limits):
            if name not in STATISTICS:
                raise ValueError(f"{name!r} is known only by training; valid: {', '.join(STATISTICS)}")
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives repeat: {', '.join(self.objectives)}")
        if self.pruner != "none" and len(self.objectives) > 1:
            raise ValueError(
                f"pruner {self.pruner!r} compares a single objective; a front has only early stopping"
            )
        if self.warm_start and (self.sampler, self.predictor) != ("nars", "gaussian"):
            raise ValueError("a warm start needs the sampler nars and the predictor gaussian")
        Budget.parse(self.budget)
        return self

    @property
    def metric(self) -> str:
        """The name of the score, which is the first objective."""
        return self.objectives[0]

    def open_task(self, data: str | None = None, device: str | None = None) -> Task:
        """Open the task of the search, on `data` and `device` instead of its own if they are given.

        If the metric is a user's function, its module is imported. Raises `UsageError`, `DataError`,
        `WeightsError`.
        """
        from nars import tasks

        return tasks.load(
            self.task,
            data or self.data,
            device or self.device,
            drop_bad=self.drop_bad,
            init=self.init,
            metric=self.metric,
        )

    @property
    def total(self) -> Budget:
        """The budget, parsed."""
        return Budget.parse(self.budget)

    @property
    def directions(self) -> list[StudyDirection]:
        """One direction per objective: the metric is maximized, the statistics are minimized."""
        others = [StudyDirection.MINIMIZE] * (len(self.objectives) - 1)
        return [StudyDirection.MAXIMIZE, *others]

    def naming_data(self, candidate: Trainable) -> Trainable:
        """The candidate with the data of this search and their number of classes."""
        return candidate.on(self.data, self.space.num_classes)

    @property
    def needs_latency(self) -> bool:
        """Whether the latency of candidates has to be measured."""
        return "latency" in self.objectives or "latency" in self.limits

    @property
    def has_path(self) -> bool:
        """Whether the data are a file or a folder, which the fingerprint tells apart, and not a name."""
        return self.data not in _NAMES and Path(self.data).exists()

    @property
    def identity(self) -> str:
        """Equal for commands that continue each other, however data and parent are spelt."""
        changes = dict.fromkeys(_CHANGEABLE, "")
        if self.has_path:
            changes["data"] = ""
        if Path(self.init).exists():
            changes["init"] = str(Path(self.init).resolve())
        return self._digest(changes)

    @property
    def spelled_identity(self) -> str:
        """The identity in version 0.1, which depends on how data and parent are spelt."""
        return self._digest(dict.fromkeys(_CHANGEABLE, ""))

    def _digest(self, changes: dict[str, str]) -> str:
        same = self.model_copy(update=changes)
        return hashlib.sha256(same.to_yaml().encode()).hexdigest()[:8]

    def check_continues(self, earlier: SearchConfig, where: str) -> None:
        """Raise `RunError` with the differences if this search is not the `earlier` one."""
        if earlier.task in SPACES and isinstance(earlier.space, Space):
            why = "whose limits and costs were those of a classifier: it can be read, not continued"
            raise RunError(
                f"{where} holds a {earlier.task} search of version 0.1, {why} (choose another --run)"
            )
        changes = list(_differences(earlier, self))
        if changes:
            raise RunError(f"{where} holds another search: {'; '.join(changes)} (choose another --run)")


def _differences(old: SearchConfig, new: SearchConfig) -> Sequence[str]:
    names = [name for name in SearchConfig.model_fields if _differs(name, old, new)]
    return [_clause(name, old, new) for name in names if not _follows(name, old, new)]


def _differs(name: str, old: SearchConfig, new: SearchConfig) -> bool:
    """Whether a field makes another search."""
    before, after = getattr(old, name), getattr(new, name)
    if name in _CHANGEABLE or before == after or _same_place(name, before, after):
        return False
    return name != "data" or not new.has_path or old.data_fingerprint != new.data_fingerprint


def _follows(name: str, old: SearchConfig, new: SearchConfig) -> bool:
    """Whether a field differs only because another one does, whose difference is said."""
    if old.task != new.task and name in ("space", "reference", "objectives"):
        return True
    if name == "data_fingerprint":
        return old.task != new.task or (old.data != new.data and not _same_place("data", old.data, new.data))
    if name != "reference":
        return False
    has_other_parent = old.init != new.init and not _same_place("init", old.init, new.init)
    has_other_space = old.space != new.space and epochs_of(old.reference) == epochs_of(new.reference)
    return has_other_parent or has_other_space


def _clause(name: str, old: SearchConfig, new: SearchConfig) -> str:
    """Say how a field differs, and how to continue if an option does that."""
    before, after = getattr(old, name), getattr(new, name)
    match name:
        case "task":
            return f"task was {before!r}, now {after!r}: --task {before} restores it"
        case "space":
            return space_difference(before, after)
        case "reference":
            return reference_difference(before, after)
        case "limits":
            return f"limits were {_listed(before)}, now {_listed(after)}"
        case "data_fingerprint":
            was_now = f"data_fingerprint was {_start(before)!r}, now {_start(after)!r}"
            return f"the content of {new.data} has changed, {was_now}"
        case "objectives" if old.metric != new.metric:
            return f"metric was {old.metric}, now {new.metric}: --metric {old.metric} restores it"
        case "objectives":
            return f"objectives were {', '.join(before)}, now {', '.join(after)}"
        case "warm_start":
            shown = [", ".join(map(str, runs)) or "nothing" for runs in (before, after)]
            return f"warm start was {shown[0]}, now {shown[1]}"
        case _:
            return f"{name} was {before!r}, now {after!r}"


def _listed(limits: Mapping[str, float]) -> str:
    """Limits as text, ``macs 1000000``."""
    return ", ".join(f"{name} {value:.10g}" for name, value in limits.items()) or "none"


def _start(fingerprint: str) -> str:
    """A fingerprint with the start of its digest, which is enough to tell two apart."""
    return re.sub(r"([0-9a-f]{8})[0-9a-f]{24,}", r"\1...", fingerprint)


def _same_place(name: str, before: object, after: object) -> bool:
    """Whether two spellings of data, or of a parent, are one file or folder."""
    if name not in ("data", "init"):
        return False
    first, second = Path(str(before)), Path(str(after))
    return first.exists() and second.exists() and first.samefile(second)
