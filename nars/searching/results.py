"""The results of a search: the winner, the front and the table of trials, as values and as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.errors import RunError
from nars.files import write_whole
from nars.runs.config import SearchConfig
from nars.runs.run import Run
from nars.sampling.pareto import dominated
from nars.searching import confirm
from nars.searching.confirm import Measured
from nars.searching.ranking import Agreement, spearman
from nars.space import feasible
from nars.spec import Trainable
from nars.trials import SCORES, Record

__all__ = [
    "best_candidate",
    "best_yaml",
    "costs_of",
    "front_table",
    "rank_correlation",
    "state_of",
    "trials_table",
    "winner",
    "write_results",
]


def winner(study: Study, config: SearchConfig, limits: feasible.Limits | None = None) -> Measured:
    """Return the best candidate trained in full, within tighter `limits` if given.

    Raises `RunError` if there is none.
    """
    best = confirm.winner(_within(study.get_trials(deepcopy=False), limits or {}), config.directions)
    if best is None:
        condition = "".join(f" with {name} <= {limit:.10g}" for name, limit in (limits or {}).items())
        raise RunError(f"study {study.study_name} has no trained candidate{condition} yet")
    return best


def best_candidate(config: SearchConfig, best: Measured, name: str = "best") -> Trainable:
    """Decode a measured candidate, called `name`, with the data that it was searched on."""
    return config.naming_data(config.space.decode(best.params, name=name))


def front_table(study: Study, config: SearchConfig, limits: feasible.Limits | None = None) -> pd.DataFrame:
    """Return one row for each candidate that no other dominates in the objectives.

    With a single objective, MACs are the second one. `limits` leave out candidates that exceed them.
    """
    trials = _within(study.get_trials(deepcopy=False), limits or {})
    objectives = config.objectives if len(config.objectives) > 1 else (*config.objectives, "macs")
    rows = [_front_row(config, objectives, candidate) for candidate in confirm.measured(trials)]
    table = pd.DataFrame(rows, columns=["trial", "runs", *objectives, "sd", *config.space.distributions])
    if table.empty:
        return table
    larger_is_better = table[list(objectives)].to_numpy(float).copy()
    larger_is_better[:, 1:] *= -1
    front = table[~dominated(larger_is_better)]
    return front.sort_values(objectives[1]).reset_index(drop=True)


def _front_row(config: SearchConfig, objectives: Sequence[str], candidate: Measured) -> dict[str, Any]:
    means = zip(config.objectives, candidate.mean, strict=True)
    values: dict[str, float] = {**costs_of(config, candidate), **dict(means)}
    return {
        "trial": candidate.numbers[0],
        "runs": len(candidate.runs),
        **{name: values[name] for name in objectives},
        "sd": candidate.spread[0] if candidate.spread else None,
        **candidate.params,
    }


def costs_of(config: SearchConfig, candidate: Measured) -> dict[str, int]:
    """Return the MACs and the parameters of a candidate."""
    return {name: int(value) for name, value in config.space.statistics_of(candidate.params).items()}


def trials_table(study: Study, config: SearchConfig) -> pd.DataFrame:
    """Return one row for each trial, in order: state, values, costs, prediction, genotype."""
    measured = list(dict.fromkeys([*config.objectives, *SCORES, "macs", "params", "latency"]))
    rows = [_trial_row(trial, measured) for trial in study.get_trials(deepcopy=False)]
    columns = ["trial", "state", *measured, *_RECORDED, *config.space.distributions]
    table = pd.DataFrame(rows, columns=columns)
    return table.dropna(axis="columns", how="all") if len(table) else table


_RECORDED = ("epochs", "seconds", "seed", "predicted", "predicted_sd", "estimate", "confirms", "reason")
"""Columns of `trials_table` that are fields of a trial's record."""


def _trial_row(trial: FrozenTrial, measured: Sequence[str]) -> dict[str, Any]:
    record = Record.of(trial)
    recorded = {name: getattr(record, name) for name in _RECORDED}
    recorded["estimate"] = record.estimate[0] if record.estimate else None
    numbers = {name: record.measured.get(name) for name in measured}
    return {"trial": trial.number, "state": state_of(trial), **numbers, **recorded, **trial.params}


def rank_correlation(trials: Sequence[FrozenTrial], metric: str) -> Agreement | None:
    """Return Spearman's correlation of predicted with measured scores; None as for `spearman`."""
    records = [Record.of(trial) for trial in trials if trial.state == TrialState.COMPLETE]
    pairs = [(item.predicted, item.measured[metric]) for item in records if item.predicted is not None]
    return spearman([predicted for predicted, _ in pairs], [score for _, score in pairs])


def state_of(trial: FrozenTrial) -> str:
    """Return Optuna's state in lower case, or ``void`` for a trial that costs no budget."""
    return "void" if Record.of(trial).void else trial.state.name.lower()


def write_results(run: Run, study: Study) -> None:
    """Write ``trials.csv`` and, once a candidate is trained in full, ``pareto.csv`` and ``best.yaml``."""
    config = run.config
    write_whole(run.folder / "trials.csv", trials_table(study, config).to_csv(index=False))
    if any(trial.state == TrialState.COMPLETE for trial in study.get_trials(deepcopy=False)):
        write_whole(run.folder / "pareto.csv", front_table(study, config).to_csv(index=False))
        write_whole(run.folder / "best.yaml", best_yaml(run, study, winner(study, config)))


def best_yaml(run: Run, study: Study, best: Measured) -> str:
    """Return a candidate as YAML, below a comment that says where it comes from."""
    config = run.config
    metric, mean, spread = config.objectives[0], best.mean[0], best.spread
    runs = f"{len(best.runs)} runs, sd {spread[0]:.4f}" if spread else "1 run"
    trials = ", ".join(map(str, best.numbers))
    origin = f"trial {trials} of {run.name}, {config.task} of {config.data}"
    return f"# val {metric} {mean:.4f} ({runs}): {origin}\n" + best_candidate(config, best).to_yaml()


def _within(trials: Sequence[FrozenTrial], limits: feasible.Limits) -> list[FrozenTrial]:
    """Return the trials whose measured costs are within the limits; an unmeasured cost is not."""
    return [
        trial
        for trial in trials
        if all(Record.of(trial).measured.get(name, float("inf")) <= limit for name, limit in limits.items())
    ]
