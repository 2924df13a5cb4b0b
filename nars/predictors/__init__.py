"""Predicts scores from genotypes: a Gaussian process, and the paper's pretrained networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nars.errors import UsageError, closest
from nars.predictors.base import Believing, Fitted, Predictor
from nars.space.genotypes import Domain, Matrix

__all__ = ["PREDICTORS", "Believing", "Fitted", "Predictor", "PredictorName", "make_predictor"]

PredictorName = Literal["gaussian", "ensemble"]

PREDICTORS: tuple[PredictorName, ...] = get_args(PredictorName)
"""A Gaussian process (`nars.predictors.gaussian`) and the paper's networks (`nars.predictors.ensemble`)."""


def make_predictor(
    name: PredictorName,
    domain: Domain,
    seed: int = 0,
    knowledge: Callable[[Matrix], NDArray[np.float64]] | None = None,
) -> Predictor:
    """The predictor of a name in `PREDICTORS`, for scores on a `nars.predictors.scores.LabelScale`.

    Only the Gaussian process learns from `knowledge`, further inputs [n, k] of genotypes [n, d].
    Raises `UsageError` for another name.
    """
    predictor: Predictor
    match name:
        case "gaussian":
            from nars.predictors.gaussian import GaussianPredictor  # SciPy's optimizer

            predictor = GaussianPredictor(domain, seed, knowledge, scaled=True)
        case "ensemble":
            from nars.predictors.ensemble import AccuracyPredictor  # torch

            predictor = AccuracyPredictor(domain, seed=seed, scaled=True)
        case _:
            raise UsageError(f"no predictor {name!r}: {closest(name, PREDICTORS)}")
    return predictor
