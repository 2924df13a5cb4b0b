"""What do many workers at once cost a search, after as many trainings as one worker has told?

    python -m experiments.search_benchmark.many_workers [--tasks micro-fashion-2M] [--workers 1 16]

Every worker asks, trains for as long as a random training of the joint tables took, and tells, on a simulated
clock; each asks while the others run. The regret is that of the incumbent among the first 16, 32 and 64
candidates that were told. Appends a row for each search to many_workers.csv, and prints the mean regret with
its 95 % interval. With ``--samplers nars tpe`` TPE runs beside it, with its constant liar.

A search takes half a minute on one core; rows that are there are kept. Expected: 16 workers cost .07 of
regret after 16 told.
"""

from __future__ import annotations

import argparse
import heapq
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.samplers import BaseSampler, TPESampler

from experiments.resumable import work_through
from experiments.search_benchmark.problem import Task
from experiments.search_benchmark.reference import reference
from experiments.search_benchmark.run import CACHE
from experiments.search_benchmark.tasks import DEFAULT_DATA, load
from nars.sampling.sampler import NarsSampler
from nars.space.genotypes import from_genotypes

__all__ = ["told_in_order"]

_RESULTS = Path(__file__).parent / "many_workers.csv"
_TOLD = (16, 32, 64)
"""Numbers of told candidates after which regret is taken."""

_DURATIONS = Path(__file__).parents[1] / "joint_table" / "micro-fashion.csv.gz"
"""Trainings whose ``seconds`` are drawn from."""


def main() -> None:
    options = _parse()
    jobs = [
        (task, sampler, workers, seed)
        for seed in range(options.seeds)
        for task in options.tasks
        for sampler in options.samplers
        for workers in options.workers
    ]
    work_through(_RESULTS, ("task", "sampler", "workers", "seed"), jobs, _Work(options.data_root), 1)
    print(_table(pd.read_csv(_RESULTS)).to_string())


class _Work:
    """Does one search; picklable."""

    def __init__(self, data_root: Path) -> None:
        self.data_root = data_root

    def __call__(self, name: str, sampler: str, workers: int, seed: int) -> list[dict[str, Any]]:
        task = load(name, self.data_root)
        known = reference(task, CACHE)
        observed, true = told_in_order(task, _sampler(sampler, task, seed), workers, max(_TOLD), seed)
        regrets = {f"after {count}": known.regret(true[int(observed[:count].argmax())]) for count in _TOLD}
        row = {"task": name, "sampler": sampler, "workers": workers, "seed": seed}
        return [row | {key: round(value, 5) for key, value in regrets.items()}]


def told_in_order(
    task: Task, sampler: BaseSampler, workers: int, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Search with many workers; return observed and true scores [count], in the order of their tells."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    domain, rng = task.problem.domain, np.random.default_rng([seed, 2])
    noise, seconds = np.random.default_rng([seed, 1]), pd.read_csv(_DURATIONS).seconds.to_numpy()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    running: list[tuple[float, int]] = []
    trials: dict[int, optuna.Trial] = {}
    observed: list[float] = []
    true: list[float] = []

    def ask(now: float) -> None:
        trial = study.ask(dict(domain.distributions))
        while not task.problem.feasible(from_genotypes(domain, [trial.params]))[0]:  # TPE knows no limits
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            trial = study.ask(dict(domain.distributions))
        trials[trial.number] = trial
        heapq.heappush(running, (now + float(rng.choice(seconds)), trial.number))

    for _ in range(workers):
        ask(0.0)
    while len(observed) < count:
        now, number = heapq.heappop(running)
        matrix = from_genotypes(domain, [trials[number].params])
        truth, score = task.train(matrix, noise)
        observed.append(float(score[0]))
        true.append(float(truth[0]))
        study.tell(trials.pop(number), observed[-1])
        ask(now)
    return np.array(observed), np.array(true)


def _sampler(name: str, task: Task, seed: int) -> BaseSampler:
    if name == "tpe":
        return TPESampler(multivariate=True, constant_liar=True, seed=seed)
    return NarsSampler(task.problem.domain, limits=task.problem.limits, objectives=["accuracy"], seed=seed)


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean regret ± half of its 95 % interval by task, sampler and workers."""
    groups = rows.groupby(["task", "sampler", "workers"])[[f"after {count}" for count in _TOLD]]
    half = 1.96 * groups.std() / np.sqrt(groups.count())
    shown = {
        name: [
            f"{mean:.3f} ± {width:.3f}" for mean, width in zip(groups.mean()[name], half[name], strict=True)
        ]
        for name in half.columns
    }
    return pd.DataFrame(shown, index=half.index).assign(seeds=groups.size())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["micro-fashion-2M"], help="names of tables")
    parser.add_argument(
        "--samplers", nargs="+", default=["nars"], choices=("nars", "tpe"), help="who proposes"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64], help="how many")
    parser.add_argument("--seeds", type=int, default=12, help="searches of each kind")
    parser.add_argument("--data-root", type=Path, default=DEFAULT_DATA, help="folder of the tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
