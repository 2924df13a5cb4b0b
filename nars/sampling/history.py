"""The trials of a study as a sampler sees them: what came before, what it scored, what not to repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.space import genotypes
from nars.space.feasible import Limits
from nars.space.genotypes import Domain, Matrix
from nars.trials import REFUSED, Record, counts, labels

__all__ = ["Exclusions", "History"]


@dataclass(frozen=True)
class History:
    """Reads trials that search `domain` under `limits`."""

    domain: Domain
    limits: Limits

    def matrix(self, parameters: Sequence[Mapping[str, Any]]) -> Matrix:
        """Canonical genotypes [n, d] of the parameters of trials."""
        return self.domain.canonical(genotypes.from_genotypes(self.domain, parameters))

    def matrix_of(self, trials: Sequence[FrozenTrial]) -> Matrix:
        """Canonical genotypes [n, d] of trials."""
        return self.matrix([trial.params for trial in trials])

    def proposed(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that have a genotype of the domain; a user's study may hold others."""
        return [trial for trial in trials if self._has_genotype(trial)]

    def before(self, trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
        """The trials before `number` that count, including those still being proposed."""
        return [
            trial
            for trial in trials
            if trial.number < number
            and counts(trial)
            and (trial.state == TrialState.RUNNING or self._has_genotype(trial))
        ]

    def labelled(self, study: Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that a predictor can learn from."""
        return [trial for trial in self.proposed(trials) if labels(study, trial) is not None]

    def exclusions(self, trials: Sequence[FrozenTrial]) -> Exclusions:
        """Genotypes that must not be proposed if there are these trials."""
        tried = self.proposed(trials)
        refused = [trial for trial in tried if self._was_over_a_limit(trial)]
        return Exclusions(
            self.matrix_of(tried), self.matrix_of(refused), architecture=~self.domain.dimensions.recipe
        )

    def _was_over_a_limit(self, trial: FrozenTrial) -> bool:
        """Whether a trial was refused because a limit did not hold when measured."""
        record = Record.of(trial)
        return record.void == REFUSED and any(
            record.measured.get(name, 0) > limit for name, limit in self.limits.items()
        )

    def _has_genotype(self, trial: FrozenTrial) -> bool:
        return self.domain.distributions.keys() <= trial.params.keys()


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
