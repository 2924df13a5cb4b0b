"""Knowledge from finished searches over the same dimensions, with other data or other limits.

Each earlier search becomes a predictor of its own. Its prediction is one more thing known about a
candidate for free, besides MACs and parameters. The new search learns from its own trials how far to
trust it; before it has any, half of its first batch is what the earlier searches predict to be best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nars.documents import Frozen
from nars.predictors.scores import LabelScale
from nars.space.genotypes import Domain, Matrix, from_genotypes

__all__ = ["FEWEST_TRIALS", "EarlierSearch", "Knowledge"]

FEWEST_TRIALS = 8
"""Scored trials below which a search is too small to learn from."""

_Value = bool | int | float | str
"""A value of one dimension."""


class EarlierSearch(Frozen):
    """The candidates that a search trained, and their scores."""

    run: str
    genotypes: tuple[dict[str, _Value], ...]
    scores: tuple[float, ...]

    def __str__(self) -> str:
        return f"{len(self.scores)} trials of {self.run}"

    def goes_on_from(self, other: Self) -> bool:
        """Whether this is the same search as the `other`, perhaps with more trials."""
        own = zip(self.genotypes, self.scores, strict=True)
        theirs = zip(other.genotypes, other.scores, strict=True)
        return self.run == other.run and all(pair in own for pair in theirs)  # both are in order of trials


class Knowledge:
    """Predicts genotypes [n, d] by each of s earlier searches: [n, s], each on a scale of its own.

    Units are robust standard deviations of the search's scores, counted from their median.
    """

    def __init__(self, domain: Domain, searches: Sequence[EarlierSearch], seed: int = 0) -> None:
        from nars.predictors.gaussian import GaussianPredictor  # SciPy's optimizer

        self.predictors = []
        for search in searches:
            scores = np.array(search.scores)
            predictor = GaussianPredictor(domain, seed, scaled=True)
            predictor.fit(from_genotypes(domain, search.genotypes), LabelScale.of(scores).forward(scores))
            self.predictors.append(predictor)

    def __call__(self, matrix: Matrix) -> NDArray[np.float64]:
        return np.stack([np.asarray(predictor.predict(matrix)) for predictor in self.predictors], axis=1)
