"""The origin of a sampler's domain: a declared one, given distributions, or the trials of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from nars.errors import UsageError, closest
from nars.sampling.parameters import activity, learned
from nars.sampling.parameters.costs import CostsFunction, KnownCosts
from nars.sampling.parameters.domain import Parameters, middle
from nars.space.feasible import Limits, check_known
from nars.space.genotypes import Domain

__all__ = ["Declared", "Given", "Source", "Unknown", "source_of"]

Distributions = dict[str, BaseDistribution]

_PATIENCE = 10
"""Newest trials of which one should have asked for a parameter that was given."""

_MOST_NAMED = 5
"""Parameters of a space that a remark lists."""


class Source(Protocol):
    """Says what is searched, and gives its domain."""

    def search_space(self, trials: Sequence[FrozenTrial]) -> Distributions:
        """The distributions that the next trial is proposed from, all of more than one value."""

    def domain(self, search_space: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]) -> Domain:
        """The domain of at least these distributions, as far as they are known."""

    def remarks(self, trials: Sequence[FrozenTrial]) -> list[str]:
        """Sentences about what the trials have and the sampler does not model."""

    def about(self, name: str, trials: Sequence[FrozenTrial]) -> str | None:
        """Why a parameter is drawn at random; None if it is only new."""


class Declared:
    """A domain of the user's, such as a `nars.space.Space`."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    def search_space(self, trials: Sequence[FrozenTrial]) -> Distributions:
        return dict(self._domain.distributions)

    def domain(self, search_space: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]) -> Domain:
        return self._domain

    def remarks(self, trials: Sequence[FrozenTrial]) -> list[str]:
        given = self._domain.distributions
        return _never_asked(given, trials, patience=1) + _other_ranges(given, trials)

    def about(self, name: str, trials: Sequence[FrozenTrial]) -> str | None:
        return _outside(name, self._domain.distributions)


class Given:
    """Distributions by name, of which an objective may leave out conditional ones."""

    def __init__(
        self, distributions: Mapping[str, BaseDistribution], costs: CostsFunction | None, limits: Limits
    ) -> None:
        _check(distributions)
        self._all = dict(distributions)
        self._open = several_values(distributions)
        constants = {name: only_value(dist) for name, dist in distributions.items() if dist.single()}
        self._costs = None if costs is None else KnownCosts(costs, constants)
        empty = Parameters(self._open, costs=self._costs)
        empty.statistics(np.repeat(middle(empty.dimensions)[None], 2, axis=0))
        check_known(empty, limits)

    def search_space(self, trials: Sequence[FrozenTrial]) -> Distributions:
        return dict(self._open)

    def domain(self, search_space: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]) -> Domain:
        return Parameters(self._open, _activity(self._open, learned.observed(trials).trials), self._costs)

    def remarks(self, trials: Sequence[FrozenTrial]) -> list[str]:
        return _never_asked(self._all, trials, _PATIENCE) + _other_ranges(self._all, trials)

    def about(self, name: str, trials: Sequence[FrozenTrial]) -> str | None:
        return _outside(name, self._all)


class Unknown:
    """The parameters that the trials of the study have asked for."""

    def search_space(self, trials: Sequence[FrozenTrial]) -> Distributions:
        return several_values(learned.observed(trials).distributions)

    def domain(self, search_space: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]) -> Domain:
        seen, asked = learned.observed(trials).trials, several_values(search_space)
        gone = _activity(asked, seen).gone
        asked = {name: dist for name, dist in asked.items() if name not in gone} or asked
        return Parameters(asked, _activity(asked, seen))

    def remarks(self, trials: Sequence[FrozenTrial]) -> list[str]:
        return [
            f"the range of parameter {name!r} has changed: NarsSampler learns from trials within the new one"
            for name in sorted(learned.observed(trials).changed)
        ]

    def about(self, name: str, trials: Sequence[FrozenTrial]) -> str | None:
        if name not in learned.observed(trials).dynamic:
            return None
        return f"NarsSampler draws parameter {name!r} at random: its range changes from trial to trial"


def source_of(space: object, costs: CostsFunction | None, limits: Limits) -> Source:
    """The source that a sampler's `space` is.

    Raises `UsageError` for something else than a domain, distributions or None, and for costs or limits
    that cannot hold for it.
    """
    if space is None:
        if costs is not None or limits:
            raise UsageError(
                "NarsSampler must know the parameters before the first trial to keep limits: give it their "
                "distributions, NarsSampler({'x': FloatDistribution(0, 1)}, costs=..., limits=...)"
            )
        return Unknown()
    if costs is not None and not callable(costs):
        raise UsageError(f"costs= of NarsSampler is a function of the parameters, got {costs!r:.80}")
    if isinstance(space, Mapping):
        if limits and costs is None:
            raise UsageError(
                f"no limit on {next(iter(limits))!r} without costs= of NarsSampler, a function that tells it "
                "from the parameters; what only a trial tells is a constraint: trial.set_constraint"
            )
        return Given(space, costs, limits)
    if not all(hasattr(space, name) for name in ("distributions", "dimensions", "canonical", "statistics")):
        raise UsageError(
            f"the space of NarsSampler is a nars.Space, distributions by name or nothing, got {space!r:.80}"
        )
    if costs is not None:
        raise UsageError("a space knows its own costs: leave out costs= of NarsSampler")
    domain: Any = space
    return Declared(domain)


def several_values(distributions: Mapping[str, BaseDistribution]) -> Distributions:
    """The distributions of more than one value."""
    return {name: dist for name, dist in distributions.items() if not dist.single()}


def only_value(dist: BaseDistribution) -> Any:
    """The value of a distribution that has one."""
    choices: Sequence[Any] | None = getattr(dist, "choices", None)
    return choices[0] if choices is not None else getattr(dist, "low")  # noqa: B009 - the base class has none


def _activity(
    distributions: Mapping[str, BaseDistribution], trials: Sequence[Mapping[str, Any]]
) -> activity.Activity:
    names = distributions.keys()
    return activity.learn(distributions, [params for params in trials if not names.isdisjoint(params)])


def _check(distributions: Mapping[str, BaseDistribution]) -> None:
    for name, dist in distributions.items():
        if not isinstance(name, str) or not isinstance(dist, BaseDistribution):
            raise UsageError(
                f"parameter {name!r} of NarsSampler needs a distribution of Optuna such as "
                f"FloatDistribution(0, 1), got {dist!r:.80}"
            )
    if not distributions:
        raise UsageError("NarsSampler was given no parameters: NarsSampler() learns them from the trials")


def _never_asked(
    distributions: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial], patience: int
) -> list[str]:
    """A remark if none of the newest trials has asked for some of the parameters."""
    finished = [trial for trial in trials if trial.state.is_finished() and trial.params]
    newest = finished[-patience:]
    names = [name for name in distributions if all(name not in trial.params for trial in newest)]
    if len(newest) < patience or not names:
        return []
    some = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    unknown = [name for trial in newest for name in trial.params if name not in distributions]
    hint = f"; they have {', '.join(map(repr, dict.fromkeys(unknown)))}" if unknown else ""
    return [f"trials do not ask for {some} of the space of NarsSampler{hint}"]


def _other_ranges(distributions: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]) -> list[str]:
    """A remark about each parameter that the newest trial has in another range than was given."""
    newest = next((trial for trial in reversed(trials) if trial.state.is_finished() and trial.params), None)
    asked = {} if newest is None else newest.distributions
    return [
        f"trials have parameter {name!r} in another range than the space of NarsSampler: values outside of "
        "theirs are drawn at random"
        for name, dist in distributions.items()
        if (own := asked.get(name)) is not None and own != dist
    ]


def _outside(name: str, distributions: Mapping[str, BaseDistribution]) -> str | None:
    if name in distributions:
        return None
    hint = closest(name, distributions, _MOST_NAMED)
    return f"NarsSampler draws parameter {name!r} at random: it is not in its space ({hint})"
