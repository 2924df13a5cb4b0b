"""The settings, task and domain that all workers of a search share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from optuna.distributions import BaseDistribution
from optuna.study import Study

from nars.networks.latency import latency_domain
from nars.predictors.knowledge import EarlierSearch
from nars.searching.budget import Budget
from nars.searching.config import SearchConfig
from nars.space import Space
from nars.space.genotypes import Domain
from nars.tasks.base import Task
from nars.workers.foretold import foretold

__all__ = ["Search"]


@dataclass(frozen=True)
class Search:
    """Everything that defines a search for its workers: configuration, task, domain of proposals."""

    config: SearchConfig
    task: Task
    domain: Domain
    """The space, with a prediction of latency if the search limits or minimizes latency."""
    foretold: tuple[EarlierSearch, ...] = ()
    """Lessons from candidates that were measured before any was trained."""

    @classmethod
    def of(cls, study: Study, config: SearchConfig, task: Task) -> Self:
        """Open a search; what it needs to know of candidates before a training is measured first."""
        domain: Domain = config.space
        if config.needs_latency:
            domain = latency_domain(config.space, study, task.device)
        return cls(config, task, domain, foretold(study, config, domain, task))

    @property
    def space(self) -> Space:
        return self.config.space

    @property
    def budget(self) -> Budget:
        return self.config.total

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
