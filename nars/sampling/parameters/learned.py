"""The search space of a study that nobody has declared, read from its finished trials.

Optuna's own samplers that model parameters together leave out those that some trial lacks
(`optuna.search_space.IntersectionSearchSpace`) or model them apart (its group decomposition). Here the space
is the union, and `nars.sampling.parameters.activity` says what a candidate lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

__all__ = ["Learned", "observed"]

_MOST_CHANGES = 3
"""A parameter that has had more other distributions than this is not modelled: it has no fixed range."""


@dataclass(frozen=True)
class Learned:
    """The parameters of finished trials."""

    distributions: dict[str, BaseDistribution]
    """Their newest distributions, sorted by name."""
    changed: frozenset[str]
    """Parameters that had another distribution before."""
    dynamic: frozenset[str]
    """Parameters without a fixed range, which are left out of the others."""
    trials: tuple[Mapping[str, Any], ...]
    """The parameters of every trial that was learned from."""


def observed(trials: Sequence[FrozenTrial]) -> Learned:
    """Collect what the complete and pruned ones of `trials` asked for, in the order of their numbers."""
    finished = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    newest: dict[str, BaseDistribution] = {}
    changes: dict[str, int] = {}
    for trial in finished:
        for name, dist in trial.distributions.items():
            known = newest.get(name)
            if known is not dist and known != dist:
                changes[name] = changes.get(name, -1) + 1
                newest[name] = dist
    dynamic = frozenset(name for name, count in changes.items() if count > _MOST_CHANGES)
    kept = {name: dist for name, dist in sorted(newest.items()) if name not in dynamic}
    changed = frozenset(name for name in kept if changes[name])
    return Learned(kept, changed, dynamic, tuple(trial.params for trial in finished))
