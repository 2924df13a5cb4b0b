"""Finished studies without training, with the records that `nars.workers.worker` writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

import search_spaces
from nars.runs.config import SearchConfig
from nars.space import Space, genotypes

__all__ = ["config", "finished", "space"]


def space() -> Space:
    return search_spaces.space("micro").replace(num_classes=10)


def config(budget: int = 32, objectives: tuple[str, ...] = ("accuracy",), **changes: Any) -> SearchConfig:
    return SearchConfig(
        space=space(), data_fingerprint="none", budget=str(budget), objectives=objectives, **changes
    )


def finished(search: SearchConfig, n: int | None = None, *, seed: int = 0, troubles: bool = True) -> Study:
    """Make a study of `n` trials whose scores follow MACs and learning rate, with noise.

    The first quarter has no prediction, and the last tenth confirms the best. With `troubles` every 7th
    trial failed, every 5th was stopped early and one is void.
    """
    count = int(search.total.amount) if n is None else n
    study = optuna.create_study(directions=search.directions, sampler=optuna.samplers.RandomSampler(seed=0))
    rng = np.random.default_rng(seed)
    matrix = genotypes.sample(search.space, max(count, 1), rng)[:count]
    best: dict[str, Any] = {}
    for at, params in enumerate(genotypes.to_genotypes(search.space, matrix)):
        confirms = at >= 0.9 * count and bool(best)
        trial = _trial(search, best["params"] if confirms else params, at, rng)
        if at >= count // 4 and not confirms:
            guess = trial["user_attrs"]["accuracy"] + 0.02 * rng.normal()
            trial["user_attrs"] |= {"predicted": guess, "predicted_sd": 0.02}
        if confirms:
            trial["user_attrs"]["confirms"] = best["number"]
        elif troubles and at % 7 == 5:
            trial = _failed(trial)
        elif troubles and at % 5 == 4:
            trial = _stopped(trial, search)
        elif trial["values"][0] > best.get("score", -1):
            best = {"score": trial["values"][0], "params": params, "number": at}
        study.add_trial(optuna.create_trial(distributions=dict(search.space.distributions), **trial))
    if troubles:
        void = {"state": TrialState.FAIL, "user_attrs": {"void": True, "reason": "interrupted"}}
        study.add_trial(optuna.create_trial(**void))
    return study


def trials(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False)


def _trial(search: SearchConfig, params: dict[str, Any], at: int, rng: np.random.Generator) -> dict[str, Any]:
    known = search.space.statistics(genotypes.from_genotypes(search.space, [params]))
    free = {name: float(values[0]) for name, values in known.items()} | {"latency": 1e-9 * known["macs"][0]}
    score = 0.7 + 0.1 * np.log10(free["macs"] / 1e6) - 0.1 * np.log10(params["recipe.lr"] / 0.1) ** 2
    score = float(np.clip(score + 0.01 * rng.normal(), 0.1, 1))
    epochs = params["recipe.epochs"]
    shares = [(epoch + 1) / epochs for epoch in range(epochs)]
    curve = [[share, score * (1 - 0.6 * np.exp(-4 * share)) / (1 - 0.6 * np.exp(-4))] for share in shares]
    attributes = {"epochs": epochs, "seed": at, **free, "accuracy": score, "seconds": 2.5, "curve": curve}
    values = [score, *(free[name] for name in search.objectives[1:])]
    return {"params": params, "values": values, "user_attrs": attributes, "state": TrialState.COMPLETE}


def _failed(trial: dict[str, Any]) -> dict[str, Any]:
    kept = {key: trial["user_attrs"][key] for key in ("epochs", "seed", "macs", "params", "latency")}
    attributes = kept | {"reason": "loss is nan in epoch 1 of 8 <script>"}
    return {"params": trial["params"], "state": TrialState.FAIL, "user_attrs": attributes}


def _stopped(trial: dict[str, Any], search: SearchConfig) -> dict[str, Any]:
    attributes = trial["user_attrs"]
    curve = attributes["curve"][: len(attributes["curve"]) // 2]
    changes = {
        "curve": curve,
        "accuracy": curve[-1][1],
        "reason": "stopped at 50%",
        "estimate": trial["values"],
    }
    return {"params": trial["params"], "state": TrialState.PRUNED, "user_attrs": attributes | changes}
