"""How fast and how faithful are the parts that guide a search?

    OMP_NUM_THREADS=1 python -m experiments.predictor_speed [--space micro --space fbnetv3] [--count 500]

Nothing is trained on images, and everything runs on one thread. Costs about four minutes on one CPU core,
most of them for building 500 networks of `fbnetv3`. Expected for each space, on a slow machine:

- pretraining takes 3 to 5 s; Spearman's correlation with MACs and parameters of fresh architectures is
  above 0.99;
- the ensemble scores some 120 000 candidates per second, the Gaussian process a fifth of that;
- 10 000 candidates are evolved in about 3 s;
- the cost model counts 270 000 architectures per second;
- closed form and built network are equal for all 500 random architectures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from nars.networks.build import build
from nars.predictors import Predictor
from nars.predictors.encoder import Encoder, pretrain
from nars.predictors.ensemble import AccuracyPredictor
from nars.predictors.gaussian import GaussianPredictor
from nars.sampling.evolution import evolve
from nars.space import Space, genotypes
from nars.spec import Architecture
from search_spaces.spaces import space

T = TypeVar("T")

LABELS = 300
"""Labels that a predictor is fitted to."""

POOL = 100_000
"""Random candidates that are scored, or counted, at once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--space", action="append", help="a built-in space or a YAML file; repeatable")
    parser.add_argument("--count", type=int, default=500, help="random architectures counted both ways")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.space or ["micro", "fbnetv3"]:
        searched = space(name)
        print(f"{name}: {len(searched.distributions)} dimensions")
        report_predictors(searched, report_pretraining(searched))
        report_cost(searched, options.count)


def report_pretraining(searched: Space) -> Encoder:
    """Pretrain an encoder, print seconds and rank correlations, and return it."""
    with tempfile.TemporaryDirectory() as cache:  # an encoder from an earlier run would cost nothing
        seconds, encoder = timed(lambda: pretrain(searched, cache=cache))
    fresh = genotypes.sample(searched, 10_000, np.random.default_rng(1), quasi=False)
    x = searched.dimensions.features(fresh)[:, genotypes.is_architecture_feature(searched)]
    with torch.no_grad():
        predicted = encoder(torch.from_numpy(x))[1].numpy()
    truth = searched.statistics(fresh)
    ranks = [
        f"{name} {spearmanr(column, truth[name]).statistic:.4f}"
        for name, column in zip(encoder.names, predicted.T, strict=True)
    ]
    print(f"  pretraining {seconds:.1f} s; Spearman on {len(fresh)} fresh: {', '.join(ranks)}")
    return encoder


def report_predictors(searched: Space, encoder: Encoder) -> None:
    """Print how fast each predictor fits, scores and guides an evolution."""
    pool = genotypes.sample(searched, POOL, np.random.default_rng(2), quasi=False)
    cost = searched.statistics(pool)["macs"]
    labels = np.log(cost[:LABELS]) + np.random.default_rng(3).normal(0, 0.1, LABELS)
    limit = np.median(cost)
    search = partial(
        evolve,
        searched,
        start=pool[:16],
        feasible=lambda matrix: searched.statistics(matrix)["macs"] <= limit,
        patience=1000,
    )
    for predictor in (AccuracyPredictor(searched, encoder), GaussianPredictor(searched)):
        fitting, _ = timed(partial(predictor.fit, pool[:LABELS], labels))
        scoring, _ = timed(partial(predictor.predict, pool, return_std=True))
        evolving, evolved = timed(partial(search, partial(scores, predictor), rng=np.random.default_rng(4)))
        print(
            f"  {type(predictor).__name__}: fit to {LABELS} labels {fitting:.2f} s;"
            f" {POOL / scoring:,.0f} candidates scored per second;"
            f" {evolved.evaluations} evolved in {evolving:.1f} s ({evolved.generations} generations)"
        )


def scores(predictor: Predictor, matrix: genotypes.Matrix) -> np.ndarray:
    """The predicted scores [n, 1], which the evolution maximizes."""
    return np.asarray(predictor.predict(matrix))[:, None]


def report_cost(searched: Space, count: int) -> None:
    """Print how fast the cost model is, and how often it equals the built network."""
    pool = genotypes.sample(searched, POOL, np.random.default_rng(5), quasi=False)
    seconds, _ = timed(lambda: searched.cost(pool))
    print(f"  cost model: {POOL / seconds:,.0f} architectures per second, {POOL} at once")
    some = pool[:count]
    cost = searched.cost(some)
    expected = list(zip(cost.macs.tolist(), cost.params.tolist(), strict=True))
    built = [
        counted(searched.decode(genotype).architecture, searched.num_classes)
        for genotype in genotypes.to_genotypes(searched, some)
    ]
    equal = sum(one == other for one, other in zip(expected, built, strict=True))
    print(f"  closed form equals the built network: {equal} of {count}")


@torch.no_grad()
def counted(architecture: Architecture, num_classes: int) -> tuple[int, int]:
    """MACs and parameters of the built network, counted in one forward pass."""
    network = build(architecture, num_classes).eval()
    image = torch.zeros(1, architecture.in_channels, architecture.resolution, architecture.resolution)
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        assert isinstance(module, nn.Conv2d | nn.Linear)
        macs += output.numel() * (module.weight.numel() // module.weight.shape[0])

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    network(image)
    return macs, sum(parameter.numel() for parameter in network.parameters())


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds of a call, and what it returned."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
