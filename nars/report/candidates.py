"""The section of a report on candidates: the best of them, and those that could not be trained."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from nars.report import html
from nars.runs.config import SearchConfig
from nars.searching.confirm import Measured, measured
from nars.trials import Record

__all__ = ["candidates_section"]

_BEST_SHOWN = 10
"""Rows in the table of the best candidates."""

_COSTS = {"macs": "MACs", "params": "parameters", "latency": "latency (s)"}
"""Column titles of costs, by their names in the record of a trial."""


def candidates_section(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    """Return the section on the best candidates and on the trials that failed."""
    by_number = {trial.number: trial for trial in trials}
    ranked = sorted(measured(trials), key=lambda candidate: -candidate.mean[0])
    rows = [
        _candidate_row(candidate, Record.of(by_number[candidate.numbers[0]]))
        for candidate in ranked[:_BEST_SHOWN]
    ]
    head = ["trial", "runs", config.objectives[0], "sd", *_COSTS.values()]
    head += ["epochs", "training (s)", "predicted"]
    return html.section(
        f"Best of {len(ranked)} candidates",
        html.table(head, rows),
        html.note("All trials are in trials.csv."),
        *_failures(trials),
    )


def _candidate_row(candidate: Measured, first: Record) -> list[object]:
    """Return a row on a candidate; `first` is the record of its first trial."""
    return [
        str(candidate.numbers[0]),
        len(candidate.runs),
        candidate.mean[0],
        candidate.spread[0] if candidate.spread else None,
        *(first.measured.get(name) for name in _COSTS),
        first.epochs,
        first.seconds,
        first.predicted,
    ]


def _failures(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return a folded table of failed trials and their reasons, if there are any."""
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    if not failed:
        return []
    rows = [(str(trial.number), Record.of(trial).reason or "not known") for trial in failed]
    return [html.folded(f"{len(failed)} failed", html.table(["trial", "reason"], rows))]
