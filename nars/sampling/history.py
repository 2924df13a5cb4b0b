"""The trials of a study as a sampler sees them: what came before, what it scored, what not to repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.predictors.scores import is_finite
from nars.sampling.feasibility import FAILS
from nars.sampling.memo import Memo
from nars.sampling.parameters.domain import middle
from nars.space import genotypes
from nars.space.feasible import Limits
from nars.space.genotypes import Domain, Matrix
from nars.space.values import contains
from nars.trials import REFUSED, counts, labels

__all__ = ["Exclusions", "History"]


@dataclass(frozen=True)
class History:
    """Reads trials that search `domain` under `limits`."""

    domain: Domain
    limits: Limits
    optional: frozenset[str] = frozenset()
    """Parameters that a trial may lack."""
    plain: bool = False
    """Whether this is any study: its trials may have other distributions, and infinite values."""

    def matrix(self, parameters: Sequence[Mapping[str, Any]]) -> Matrix:
        """Canonical genotypes [n, d] of the parameters of trials; those that one lacks are in the middle."""
        names = self.domain.distributions.keys()
        whole = [params if names <= params.keys() else {**self._middle, **params} for params in parameters]
        return self.domain.canonical(genotypes.from_genotypes(self.domain, whole))

    def matrix_of(self, trials: Sequence[FrozenTrial]) -> Matrix:
        """Canonical genotypes [n, d] of trials."""
        return np.array(self._rows(trials)).reshape(len(trials), len(self.domain.distributions))

    @cached_property
    def _rows(self) -> Memo[NDArray[np.float64]]:
        return Memo(lambda trials: list(self.matrix([trial.params for trial in trials])))

    @cached_property
    def _with_genotype(self) -> Memo[bool]:
        return Memo(lambda trials: [self._has_genotype(trial) for trial in trials])

    @cached_property
    def _refused(self) -> Memo[bool]:
        return Memo(lambda trials: [self._was_over_a_limit(trial) for trial in trials])

    @cached_property
    def _constraints(self) -> Memo[dict[str, float]]:
        return Memo(lambda trials: [self._constraints_of(trial) for trial in trials])

    @cached_property
    def _values_of(self) -> dict[int, Memo[list[float] | None]]:
        """The values of trials to learn from, for each number of objectives."""
        return {}

    @cached_property
    def _middle(self) -> dict[str, Any]:
        return genotypes.to_genotypes(self.domain, middle(self.domain.dimensions)[None])[0]

    @cached_property
    def required(self) -> frozenset[str]:
        """Parameters that every trial has once it was proposed."""
        return frozenset(self.domain.distributions) - self.optional

    def proposed(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that have a genotype of the domain; a user's study may hold others."""
        return [trial for trial, has in zip(trials, self._with_genotype(trials), strict=True) if has]

    def before(self, trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
        """The trials before `number` that count, including those still being proposed."""
        counted = [trial for trial in trials if trial.number < number and self._counts(trial)]
        proposed = self._with_genotype(counted)
        return [
            trial
            for trial, has in zip(counted, proposed, strict=True)
            if has or trial.state == TrialState.RUNNING or self._has_some(trial)
        ]

    def _counts(self, trial: FrozenTrial) -> bool:
        return trial.state != TrialState.WAITING if self.plain else counts(trial)

    def labelled(self, study: Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that a predictor can learn from."""
        proposed = self.proposed(trials)
        values = self._values(study, proposed)
        return [trial for trial, known in zip(proposed, values, strict=True) if known is not None]

    def values(self, study: Study, trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
        """The objectives [n, k] of trials to learn from; infinite ones become the furthest finite ones."""
        values = np.array(self._values(study, trials), dtype=np.float64)
        for column in values.T if not is_finite(values).all() else ():
            finite = column[is_finite(column)] if is_finite(column).any() else np.zeros(1)
            column[:] = np.clip(column, finite.min(), finite.max())
        return values

    def _values(self, study: Study, trials: Sequence[FrozenTrial]) -> list[list[float] | None]:
        """The objectives of each trial; None for one with nothing to learn from."""
        memo = self._values_of.get(len(study.directions))
        if memo is None:
            memo = Memo(lambda trials: [self._values_in(study, trial) for trial in trials])
            self._values_of[len(study.directions)] = memo
        return memo(trials)

    def _values_in(self, study: Study, trial: FrozenTrial) -> list[float] | None:
        known = labels(study, trial, estimated=not self.plain)
        if known is None and self.plain and trial.state == TrialState.COMPLETE:
            known = list(trial.values)  # Optuna lets none be NaN
        return known

    def constraints(self, trials: Sequence[FrozenTrial]) -> list[dict[str, float]]:
        """Constraints of each of the finished trials that a predictor learns, 0 or less if they are met.

        In a plain study one of them is not to fail: where many trials fail, few are worth a try.
        """
        return self._constraints(trials)

    def _constraints_of(self, trial: FrozenTrial) -> dict[str, float]:
        known = {name: value for name, value in trial.constraints.items() if name not in self.limits}
        return known | {FAILS: 1.0 if trial.state == TrialState.FAIL else -1.0} if self.plain else known

    def exclusions(self, trials: Sequence[FrozenTrial]) -> Exclusions:
        """Genotypes that must not be proposed if there are these trials."""
        tried = self.proposed(trials)
        refused = [trial for trial, was in zip(tried, self._refused(tried), strict=True) if was]
        return Exclusions(
            self.matrix_of(tried), self.matrix_of(refused), architecture=~self.domain.dimensions.recipe
        )

    def _was_over_a_limit(self, trial: FrozenTrial) -> bool:
        """Whether a trial was refused because a limit did not hold when measured."""
        written = trial.user_attrs  # in a study of no search, of which they are no `Record`
        return written.get("void") == REFUSED and any(
            written.get(name, 0) > limit for name, limit in self.limits.items()
        )

    def _has_genotype(self, trial: FrozenTrial) -> bool:
        """Whether a trial has values for the domain: some if finished, all that it must if running."""
        names = self.domain.distributions.keys()
        if trial.state.is_finished():
            return (names <= trial.params.keys() or not names.isdisjoint(trial.params)) and self._fits(trial)
        return self.required <= trial.params.keys() and self._fits(trial)

    def _has_some(self, trial: FrozenTrial) -> bool:
        """Whether a trial of any study has parameters of the domain, if only in another range.

        Nothing is learned from it, but it takes a place: the next trial must not get the same proposal.
        """
        return self.plain and not self.domain.distributions.keys().isdisjoint(trial.params)

    def _fits(self, trial: FrozenTrial) -> bool:
        """Whether the values of a trial are in the domain.

        A study may have changed its distributions, and Optuna keeps an enqueued number beyond its range.
        """
        return not self.plain or all(
            (own == dist and isinstance(dist, CategoricalDistribution)) or contains(dist, trial.params[name])
            for name, dist in self.domain.distributions.items()
            if (own := trial.distributions.get(name)) is not None
        )


class Exclusions:
    """Genotypes that must not be proposed: those of other trials, and refused architectures.

    A refused architecture was over a limit when measured, and would be so with any recipe.
    """

    def __init__(self, tried: Matrix, refused: Matrix, architecture: NDArray[np.bool_]) -> None:
        self._tried = {row.tobytes() for row in tried}
        self._refused = {row.tobytes() for row in refused[:, architecture]}
        self._architecture = architecture

    def first_new(self, candidates: Matrix) -> NDArray[np.float64] | None:
        """The first of the candidates [n, d] that may be proposed, None if none may."""
        for row in candidates:
            if self._is_new(row):
                return np.asarray(row)
        return None

    def are_new(self, candidates: Matrix) -> NDArray[np.bool_]:
        """Whether each of the candidates [n, d] may be proposed."""
        return np.array([self._is_new(row) for row in candidates], dtype=bool)

    def _is_new(self, row: NDArray[np.float64]) -> bool:
        return row.tobytes() not in self._tried and row[self._architecture].tobytes() not in self._refused
