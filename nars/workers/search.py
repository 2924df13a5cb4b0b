"""The settings, task and domain that all workers of a search share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from optuna.distributions import BaseDistribution
from optuna.study import Study

from nars.artifacts.store import Store
from nars.errors import RunError
from nars.networks.latency import latency_domain
from nars.parents.parent import Origin
from nars.predictors.knowledge import EarlierSearch
from nars.runs.budget import Budget
from nars.runs.config import SearchConfig
from nars.runs.reference import charged
from nars.space.base import SearchSpace
from nars.space.genotypes import Domain, Genotype
from nars.studies import (
    class_names,
    data_description,
    parent_fingerprint,
    write_class_names,
    write_data_description,
    write_parent_fingerprint,
)
from nars.tasks.base import Task

__all__ = ["Search"]


@dataclass(frozen=True)
class Search:
    """Everything that defines a search for its workers: configuration, task, domain of proposals."""

    config: SearchConfig
    task: Task
    domain: Domain
    """The space, with a prediction of latency if the search limits or minimizes latency."""
    budget: Budget
    """That of the configuration, charged with the reference."""
    store: Store | None = None
    """The store of weights and checkpoints; None if this process has none."""
    foretold: tuple[EarlierSearch, ...] = ()
    """Lessons from candidates that were measured before any was trained."""
    first: tuple[Genotype, ...] = ()
    """Candidates that are trained before all others."""

    @classmethod
    def of(cls, study: Study, config: SearchConfig, task: Task, store: Store | None = None) -> Self:
        """Open a search; if it needs latencies and its study has no samples, measure some first.

        The names of the classes, a line about the data and the digest of a parent that is not fine-tuned are
        written to the study, once. Raises `RunError` if that parent is another one now.
        """
        if data_description(study) is None:
            write_data_description(study, task.describe())
        if task.classes is not None and class_names(study) is None:
            write_class_names(study, task.classes)
        if config.reference is None and task.parent is not None:
            _check_is_same(study, task.parent)
        domain: Domain = config.space
        if config.needs_latency:
            domain = latency_domain(config.space, study, task.latency)
        return cls(config, task, domain, charged(config.total, study), store)

    @property
    def space(self) -> SearchSpace:
        return self.config.space

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """All dimensions of a trial."""
        return dict(self.config.space.distributions)

    def values(self, score: float, measured: Mapping[str, float]) -> list[float]:
        """Return the objective values of a trial: its score, then the costs to minimize."""
        return [score, *(measured[name] for name in self.config.objectives[1:])]

    def broken_limit(self, measured: Mapping[str, float]) -> str | None:
        """Describe the first limit that measured costs exceed, with both numbers; None if all limits hold."""
        for name, limit in self.config.limits.items():
            if measured[name] > limit:
                return f"{name} {measured[name]:g} > {limit:g}"
        return None


def _check_is_same(study: Study, parent: Origin) -> None:
    """Raise `RunError` if other candidates of the study have inherited from another parent than this."""
    known = parent_fingerprint(study)
    if known is None:
        write_parent_fingerprint(study, parent.fingerprint)
    elif known != parent.fingerprint:
        remedy = "bring back the one that it began with, or start another --run"
        raise RunError(f"{parent.source} is another parent than that of study {study.study_name}: {remedy}")
