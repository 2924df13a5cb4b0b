"""What finished searches teach a new one over the same dimensions: other data, other limits.

Each earlier search becomes a predictor of its own, and what that predicts is one more thing known of
a candidate for free, beside MACs and parameters. How far to trust it the new search learns from its
own trials; before it has any, half of its first batch is what did best by the earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nars.predictors.scores import LabelScale
from nars.space.genotypes import Domain, Matrix, from_genotypes
from nars.spec import Frozen

__all__ = ["EarlierSearch", "Knowledge"]

Value = bool | int | float | str


class EarlierSearch(Frozen):
    """The trials of a search: what each candidate scored."""

    run: str
    genotypes: tuple[dict[str, Value], ...]
    scores: tuple[float, ...]

    def __str__(self) -> str:
        return f"{len(self.scores)} trials of {self.run}"


class Knowledge:
    """What each of `s` earlier searches predicts [n, s] of genotypes [n, d], on a scale of its own.

    Units are robust standard deviations of the search's scores, from their median.
    """

    def __init__(self, domain: Domain, searches: Sequence[EarlierSearch], seed: int = 0) -> None:
        from nars.predictors.gaussian import (
            GaussianPredictor,  # an optimizer, only once a predictor is needed
        )

        known = [(search.genotypes, np.array(search.scores)) for search in searches]
        self.predictors = [
            GaussianPredictor(domain, seed, scaled=True).fit(
                from_genotypes(domain, genotypes), LabelScale.of(scores).forward(scores)
            )
            for genotypes, scores in known
        ]

    def __call__(self, matrix: Matrix) -> NDArray[np.float64]:
        return np.stack([np.asarray(each.predict(matrix)) for each in self.predictors], axis=1)
