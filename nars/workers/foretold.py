"""Lets a search learn from candidates that are measured before any is trained.

A task whose candidates inherit from a parent foretells how good one will be (`Task.foretell`), in a second or
so. That is too slow for every proposal, so a few random candidates are measured, and the sampler treats their
results as an earlier search. `experiments.inheritance_statistic` shows what they are worth.
"""

from __future__ import annotations

import logging
import math

import numpy as np
from optuna.study import Study

from nars.errors import TrialError
from nars.predictors.knowledge import EarlierSearch
from nars.runs.config import SearchConfig
from nars.space.feasible import Reservoir
from nars.space.genotypes import Domain, to_genotypes
from nars.studies import foretold_samples, write_foretold_samples
from nars.tasks.base import Task

__all__ = ["foretold"]

logger = logging.getLogger(__name__)

COUNT = 64
"""Candidates that are measured."""

_FEWEST = 8
"""Measured candidates below which nothing is learned from them."""


def foretold(study: Study, config: SearchConfig, domain: Domain, task: Task) -> tuple[EarlierSearch, ...]:
    """Return what the task foretells of random candidates within the limits, as an earlier search.

    The candidates are measured if the study has no results yet. The tuple is empty if the sampler cannot use
    them, or if the task foretells nothing.
    """
    if config.init == "none" or (config.sampler, config.predictor) != ("nars", "gaussian"):
        return ()
    samples = foretold_samples(study)
    if samples is None:
        samples = _measured(config, domain, task)
        write_foretold_samples(study, samples)
    if len(samples) < _FEWEST:
        return ()
    genotypes, scores = zip(*samples, strict=True)
    return (EarlierSearch(run="what is inherited", genotypes=genotypes, scores=scores),)


def _measured(config: SearchConfig, domain: Domain, task: Task) -> list[tuple[dict[str, object], float]]:
    """Pairs of a genotype and what its task foretells of it, without candidates that cannot be measured."""
    logger.info("measuring what %d random candidates inherit", COUNT)
    matrix = Reservoir(domain, config.limits, config.seed).draw(COUNT, np.random.default_rng(config.seed))
    samples: list[tuple[dict[str, object], float]] = []
    for genotype in to_genotypes(domain, matrix):
        try:
            value = task.foretell(config.space.decode(genotype))
        except TrialError as error:
            logger.warning("a candidate could not be measured: %s", error)
            continue
        if value is None:
            return []
        if math.isfinite(value):
            samples.append((genotype, value))
    return samples
