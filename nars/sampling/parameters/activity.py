"""Conditional parameters: which of them a candidate has, learned from the trials that lack them.

An objective asks for a parameter or does not, mostly because of the value of another one: the number
of layers decides on the width of the third, the kind of a model on all its settings. Each such parameter
gets the simplest rule that all trials agree with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from nars.space.genotypes import Matrix

__all__ = ["Activity", "Rule", "learn"]

_EVIDENCE = 1000
"""Newest trials that rules are learned from."""

_GONE = 5
"""Newest trials of which one must have asked for a parameter that nothing explains."""


@dataclass(frozen=True)
class Rule:
    """Decides whether a candidate has a parameter, from the value of another one in the matrix."""

    child: str
    parent: str | None = None
    """None if no trial has the parameter, or no new one for no reason: it is inactive until one does."""
    absent: frozenset[float] = frozenset()
    """Choices of the parent without the child."""
    least: float = -np.inf
    """Least value of the parent, a number, with the child."""
    most: float = np.inf
    """Greatest value of the parent with the child."""

    def holds(self, parent: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether there is a child for each value [n] of the parent."""
        within = (parent >= self.least) & (parent <= self.most)
        return np.asarray(within & ~np.isin(parent, list(self.absent)))


@dataclass(frozen=True)
class Activity:
    """The rules of a study's conditional parameters; a parent comes before its children."""

    rules: tuple[Rule, ...] = ()
    optional: frozenset[str] = frozenset()
    """Parameters that some trial lacks, with a rule or without."""

    @property
    def gone(self) -> frozenset[str]:
        """Parameters that nothing asks for: from another objective, or left out since."""
        return frozenset(rule.child for rule in self.rules if rule.parent is None)

    def mask(self, names: Sequence[str], matrix: Matrix) -> NDArray[np.bool_]:
        """Whether each of the genotypes [n, d] has each parameter."""
        active = np.ones(matrix.shape, dtype=bool)
        column = {name: at for at, name in enumerate(names)}
        for rule in self.rules:
            if rule.parent is None:
                active[:, column[rule.child]] = False
            else:
                parent = column[rule.parent]
                active[:, column[rule.child]] = active[:, parent] & rule.holds(matrix[:, parent])
        return active


def learn(distributions: Mapping[str, BaseDistribution], trials: Sequence[Mapping[str, Any]]) -> Activity:
    """The rules that the parameters of finished trials agree with.

    A parameter that some trials lack for no reason that one other parameter gives is optional without
    a rule: every proposal has it, unless the newest trials all lack it.
    """
    seen = trials[-_EVIDENCE:]
    optional = [name for name in distributions if any(name not in params for params in seen)]
    required = [name for name in distributions if name not in optional]
    rules: list[Rule] = []
    explained = list(required)
    waiting = list(optional)
    while waiting:  # parents first: a rule looks only at parameters that have theirs
        found = [rule for name in waiting if (rule := _rule(name, explained, distributions, seen))]
        if not found:
            break
        rules += found
        settled = {rule.child for rule in found}
        explained += [rule.child for rule in found if rule.parent is not None]
        waiting = [name for name in waiting if name not in settled]
    rules += [Rule(name) for name in waiting if not any(name in params for params in seen[-_GONE:])]
    return Activity(tuple(rules), frozenset(optional))


def _rule(
    child: str,
    parents: Sequence[str],
    distributions: Mapping[str, BaseDistribution],
    trials: Sequence[Mapping[str, Any]],
) -> Rule | None:
    """The rule of a parameter by the first of `parents` that explains every trial, choices before numbers."""
    choices_first = sorted(
        parents, key=lambda name: not isinstance(distributions[name], CategoricalDistribution)
    )
    for parent in choices_first:
        dist = distributions[parent]
        if any(child in params and parent not in params for params in trials):
            continue
        values = [
            (dist.to_internal_repr(params[parent]), child in params)
            for params in trials
            if parent in params and _known(dist, params[parent])
        ]
        rule = _by_choice if isinstance(dist, CategoricalDistribution) else _by_number
        found = rule(child, parent, {v for v, has in values if has}, {v for v, has in values if not has})
        if found is not None:
            return found
    return None


def _known(dist: BaseDistribution, value: Any) -> bool:
    return not isinstance(dist, CategoricalDistribution) or value in dist.choices


def _by_choice(child: str, parent: str, present: set[float], absent: set[float]) -> Rule | None:
    """A choice that no trial has had yet is taken to have the child."""
    return Rule(child, parent, absent=frozenset(absent)) if absent and not present & absent else None


def _by_number(child: str, parent: str, present: set[float], absent: set[float]) -> Rule | None:
    """The child exists on one side of a threshold, half way between what was seen."""
    if not present or not absent:
        return None
    if min(present) > max(absent):
        return Rule(child, parent, least=_between(max(absent), min(present)))
    if max(present) < min(absent):
        return Rule(child, parent, most=_between(max(present), min(absent)))
    return None


def _between(low: float, high: float) -> float:
    return (low + high) / 2
