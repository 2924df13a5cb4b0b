"""What a search found: the winner, the front and the table of trials, as values and as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.errors import RunError
from nars.files import write_whole
from nars.sampling.pareto import dominated
from nars.searching import confirm
from nars.searching.config import SearchConfig
from nars.searching.confirm import Measured
from nars.searching.ranking import Agreement, spearman
from nars.searching.run import Run
from nars.space import feasible
from nars.space.genotypes import from_genotypes
from nars.spec import Candidate
from nars.trials import Record

__all__ = [
    "best_candidate",
    "front_table",
    "rank_correlation",
    "summary",
    "trials_table",
    "winner",
    "write_results",
]


def winner(study: Study, config: SearchConfig, limits: feasible.Limits | None = None) -> Measured:
    """The best candidate measured, within tighter `limits` where given.

    Raises `RunError` where there is none.
    """
    found = confirm.winner(_within(study.get_trials(deepcopy=False), limits or {}), config.directions)
    if found is None:
        asked = "".join(f" with {name} <= {limit:g}" for name, limit in (limits or {}).items())
        raise RunError(f"study {study.study_name} has no trained candidate{asked} yet")
    return found


def best_candidate(config: SearchConfig, found: Measured, name: str = "best") -> Candidate:
    return config.space.decode(found.params, name=name).replace(data=config.data)


def front_table(study: Study, config: SearchConfig, limits: feasible.Limits | None = None) -> pd.DataFrame:
    """One row for each candidate that no other dominates in the objectives.

    With a single objective, the front of accuracy against MACs.
    """
    trials = _within(study.get_trials(deepcopy=False), limits or {})
    objectives = config.objectives if len(config.objectives) > 1 else (*config.objectives, "macs")
    known = confirm.measured(trials)
    rows = [_front_row(config, objectives, found) for found in known]
    table = pd.DataFrame(rows, columns=["trial", "runs", *objectives, "sd", *config.space.distributions])
    if table.empty:
        return table
    larger_is_better = table[list(objectives)].to_numpy(float).copy()
    larger_is_better[:, 1:] *= -1
    kept = table[~dominated(larger_is_better)]
    return kept.sort_values(objectives[1]).reset_index(drop=True)


def _front_row(config: SearchConfig, objectives: Sequence[str], found: Measured) -> dict[str, Any]:
    matrix = from_genotypes(config.space, [found.params])
    free = {name: int(values[0]) for name, values in config.space.statistics(matrix).items()}
    values = free | dict(zip(config.objectives, found.mean, strict=True))
    spread = found.spread[0] if found.spread else None
    shown = {name: values[name] for name in objectives}
    return {"trial": found.numbers[0], "runs": len(found.runs), **shown, "sd": spread, **found.params}


def trials_table(study: Study, config: SearchConfig) -> pd.DataFrame:
    """One row for each trial, in order: state, values, costs, what was predicted, genotype."""
    measured = list(dict.fromkeys([*config.objectives, "macs", "params", "latency"]))
    rows = [_trial_row(trial, measured) for trial in study.get_trials(deepcopy=False)]
    columns = ["trial", "state", *measured, *_RECORDED, *config.space.distributions]
    table = pd.DataFrame(rows, columns=columns)
    return table.dropna(axis="columns", how="all") if len(table) else table


_RECORDED = ("epochs", "seconds", "seed", "predicted", "predicted_sd", "estimate", "confirms", "reason")
"""Columns of `trials_table` that are fields of a trial's record."""


def _trial_row(trial: FrozenTrial, measured: Sequence[str]) -> dict[str, Any]:
    record = Record.of(trial)
    known = {name: getattr(record, name) for name in _RECORDED}
    known["estimate"] = record.estimate[0] if record.estimate else None
    state = "void" if record.void else trial.state.name.lower()
    numbers = {name: record.measured.get(name) for name in measured}
    return {"trial": trial.number, "state": state, **numbers, **known, **trial.params}


def rank_correlation(trials: Sequence[FrozenTrial], metric: str) -> Agreement | None:
    """Spearman's of predictions made before a training with what it gave; None where `ranking` has none."""
    records = [Record.of(trial) for trial in trials if trial.state == TrialState.COMPLETE]
    pairs = [(each.predicted, each.measured[metric]) for each in records if each.predicted is not None]
    return spearman([guess for guess, _ in pairs], [score for _, score in pairs])


def summary(run: Run, study: Study) -> dict[str, Any]:
    """The outcome of a search in numbers: budget, states, winner, trust in the predictor."""
    config = run.config
    trials = study.get_trials(deepcopy=False)
    table = trials_table(study, config)
    states = table["state"].value_counts().to_dict() if len(table) else {}
    found: dict[str, Any] = {
        "run": str(run.folder),
        "budget": str(config.total),
        "spent": round(config.total.spent(trials), 1),
        "trials": states,
        "predictor_rank_correlation": None,
        "best": None,
    }
    trust = rank_correlation(trials, config.objectives[0])
    if trust is not None:
        found["predictor_rank_correlation"] = {"spearman": trust.value, "trials": trust.pairs}
    best = confirm.winner(trials, config.directions)
    if best is not None:
        matrix = from_genotypes(config.space, [best.params])
        found["best"] = {
            config.objectives[0]: best.mean[0],
            "sd": best.spread[0] if best.spread else None,
            "trials": list(best.numbers),
            **{name: int(values[0]) for name, values in config.space.statistics(matrix).items()},
            "file": str(run.folder / "best.yaml"),
        }
    return found


def write_results(run: Run, study: Study) -> None:
    """Bring ``best.yaml``, ``pareto.csv`` and ``trials.csv`` of the run folder up to date."""
    config = run.config
    write_whole(run.folder / "trials.csv", trials_table(study, config).to_csv(index=False))
    if any(trial.state == TrialState.COMPLETE for trial in study.get_trials(deepcopy=False)):
        write_whole(run.folder / "pareto.csv", front_table(study, config).to_csv(index=False))
        write_whole(run.folder / "best.yaml", best_yaml(run, study, winner(study, config)))


def best_yaml(run: Run, study: Study, found: Measured) -> str:
    """The candidate as YAML, with where it comes from in comments on top."""
    config = run.config
    metric, mean, spread = config.objectives[0], found.mean[0], found.spread
    runs = f"{len(found.runs)} runs, sd {spread[0]:.4f}" if spread else "1 run"
    trials = ", ".join(map(str, found.numbers))
    head = (
        f"# val {metric} {mean:.4f} ({runs}): trial {trials} of {run.name}, {config.task} of {config.data}\n"
    )
    return head + best_candidate(config, found).to_yaml()


def _within(trials: Sequence[FrozenTrial], limits: feasible.Limits) -> list[FrozenTrial]:
    return [
        trial
        for trial in trials
        if all(Record.of(trial).measured.get(name, float("inf")) <= limit for name, limit in limits.items())
    ]
