"""How long does a sampler take for a proposal, and how does that grow with the trials behind it?

    OMP_NUM_THREADS=1 python -m experiments.search_benchmark.proposal_time [--trials 10 100 1000 10000]

Fills an in-memory study of the `micro` space with random candidates, whose score is a formula of MACs and
learning rate with noise. Then asks each sampler for `--asks` proposals, telling each score before the
next ask, and prints the mean seconds per proposal. Many are asked for because the cost of a round is
shared by its proposals. A sampler that took more than `--most` seconds at one size is left out at the
next.

Costs minutes. Expected: nars takes .04 to .1 s after 10 to 1000 trials and .3 s after 10 000; GPSampler
takes 26 s after 1000.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import optuna
import pandas as pd
from optuna.samplers import BaseSampler, GPSampler, TPESampler

from nars.sampling.sampler import NarsSampler
from nars.space import Space, genotypes
from nars.space.genotypes import suggest
from search_spaces.spaces import space

SAMPLERS: dict[str, Callable[[Space], BaseSampler]] = {
    "nars": lambda micro: NarsSampler(micro, limits={"macs": 4e6}, seed=0),
    "tpe": lambda micro: TPESampler(multivariate=True, seed=0),
    "gp": lambda micro: GPSampler(seed=0),
}
"""The samplers that are timed."""


def filled(micro: Space, trials: int, sampler: BaseSampler) -> optuna.Study:
    """A study with so many finished random trials."""
    rng = np.random.default_rng(0)
    drawn = genotypes.sample(micro, trials, rng, quasi=False)
    scores = score(micro, drawn) + rng.normal(0, 0.01, trials)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    proposed = genotypes.to_genotypes(micro, drawn)
    made = [
        optuna.create_trial(params=params, distributions=dict(micro.distributions), value=float(value))
        for params, value in zip(proposed, scores, strict=True)
    ]
    study.add_trials(made)
    return study


def score(micro: Space, matrix: genotypes.Matrix) -> np.ndarray:
    """A made-up score [n]: more MACs are better, and so is a learning rate near 0.1."""
    lr = genotypes.numbers(micro, matrix, "recipe.lr")
    return 0.1 * np.log10(micro.statistics(matrix)["macs"] / 1e6) - 0.1 * np.log10(lr / 0.1) ** 2


def seconds(name: str, micro: Space, trials: int, asks: int) -> float:
    """Mean seconds per proposal after so many trials."""
    study = filled(micro, trials, SAMPLERS[name](micro))
    started = time.perf_counter()
    for _ in range(asks):
        trial = study.ask()
        suggest(micro, trial)
        study.tell(trial, float(np.random.default_rng(trial.number).normal()))
    return (time.perf_counter() - started) / asks


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 100, 1000, 10_000], help="sizes")
    parser.add_argument("--asks", type=int, default=64, help="proposals timed (gp: 3)")
    parser.add_argument("--most", type=float, default=10.0, help="seconds; slower samplers stop growing")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    micro = space("micro").replace(num_classes=10)
    table: dict[str, dict[int, float]] = {name: {} for name in SAMPLERS}
    for trials in options.trials:
        for name, row in table.items():
            if max(row.values(), default=0) <= options.most:
                row[trials] = seconds(name, micro, trials, 3 if name == "gp" else options.asks)
                print(f"{name} after {trials} trials: {row[trials]:.3f} s", flush=True)
    print(pd.DataFrame(table).T.to_string(float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
