"""Every optimizer of the benchmark by name.

A new optimizer is one more line in `OPPONENTS`, and the contract tests then cover it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, QMCSampler, TPESampler

from experiments.search_benchmark.opponents import ablations
from experiments.search_benchmark.opponents.base import Opponent, Optimizer, single_objective
from experiments.search_benchmark.opponents.botorch import BoTorch
from experiments.search_benchmark.opponents.models import ExpectedImprovement, Ridge, UpperConfidence
from experiments.search_benchmark.opponents.optuna_samplers import CubeOptimizer, StudyOptimizer, ordinal
from experiments.search_benchmark.opponents.simple import AgingEvolution, LocalMutation, Random
from experiments.search_benchmark.opponents.smac import Smac
from experiments.search_benchmark.problem import Problem
from nars.predictors import PredictorName
from nars.sampling.rounds import FIRST_BATCH
from nars.sampling.sampler import NarsSampler
from nars.sampling.strategy import Strategy

__all__ = ["OPPONENTS", "Opponent", "Optimizer"]

Make = Callable[[Problem, int, int], Optimizer]


def _study(sampler: Callable[[int], BaseSampler], attempts: int = 30) -> Make:
    return lambda problem, budget, seed: StudyOptimizer(problem, seed, lambda: sampler(seed), attempts)


def _nars(
    predictor: PredictorName = "gaussian", strategy: Strategy | None = None, first_batch: int = FIRST_BATCH
) -> Make:
    def optimizer(problem: Problem, budget: int, seed: int) -> Optimizer:
        objectives = ["accuracy"] if problem.cost is None else ["accuracy", problem.cost]

        def make() -> NarsSampler:
            return NarsSampler(
                problem.domain,
                limits=problem.limits,
                objectives=objectives,
                predictor=predictor,
                seed=seed,
                strategy=replace(strategy or Strategy(), first_batch=first_batch),
            )

        return StudyOptimizer(problem, seed, make)

    return optimizer


def _cma_es(problem: Problem, budget: int, seed: int) -> Optimizer:
    return CubeOptimizer(problem, seed, lambda: CmaEsSampler(seed=seed))


def _variant(make: Make) -> Opponent:
    return Opponent(make, variant=True, most_seeds=10, most_budget=64)


OPPONENTS: dict[str, Opponent] = {
    "nars": Opponent(_nars()),
    "nars-ensemble": _variant(_nars("ensemble")),
    "nars-greedy": _variant(_nars(strategy=ablations.GREEDY)),
    "nars-alone": _variant(_nars(strategy=ablations.ALONE)),
    "nars-pool": _variant(_nars(strategy=ablations.POOL)),
    "nars-random-start": _variant(_nars(strategy=ablations.RANDOM_START)),
    "nars-first-12": _variant(_nars(first_batch=12)),
    "nars-of-scores": _variant(_nars(strategy=ablations.OF_SCORES)),
    "random": Opponent(Random),
    "qmc": Opponent(_study(lambda seed: QMCSampler(qmc_type="sobol", scramble=True, seed=seed))),
    "tpe": Opponent(_study(lambda seed: TPESampler(multivariate=True, seed=seed))),
    "nsga2": Opponent(_study(lambda seed: NSGAIISampler(population_size=20, seed=seed))),
    "optuna-gp": Opponent(_study(lambda seed: GPSampler(seed=seed), 3), most_seeds=10, most_budget=32),
    "cma-es": Opponent(_cma_es, applies=ordinal),
    "aging": Opponent(AgingEvolution),
    "local": Opponent(LocalMutation),
    "ridge": Opponent(Ridge),
    "gp-ei": Opponent(ExpectedImprovement),
    "gp-ucb": Opponent(UpperConfidence),
    "botorch": Opponent(BoTorch, most_seeds=20, most_budget=64, long_seeds=5),
    "smac": Opponent(Smac, applies=single_objective, most_seeds=10, most_budget=64),
}
