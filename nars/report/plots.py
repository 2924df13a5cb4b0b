"""Pictures of a search: its history, its front, its predictor, its learning curves.

Each function takes trials as `nars.workers.worker` leaves them and returns a figure of matplotlib's
object-oriented interface; the state of pyplot is never touched. Scores are drawn in percent, but those of a
function of the user's own as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from nars.report.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    lowest_shown,
    new_figure,
    save_png,
    scatter,
    score_label,
    score_unit,
    to_png,
    with_legend,
)
from nars.sampling.pareto import dominated
from nars.searching.confirm import Measured, measured
from nars.searching.ranking import spearman
from nars.trials import Record, counts

__all__ = [
    "BLUE",
    "GREY",
    "Point",
    "curves",
    "front",
    "history",
    "predicted",
    "predictions",
    "save_png",
    "to_png",
]

Floats = NDArray[np.float64]

_CURVE_STYLES: dict[str, dict[str, Any]] = {
    "best": {"color": RED, "lw": 2, "zorder": 4},
    "stopped early": {"color": ORANGE, "lw": 0.9, "marker": "x", "markevery": [-1], "ms": 5},
    "trained in full": {"color": BLUE, "lw": 0.9, "alpha": 0.45},
}
"""Line style of each kind of learning curve, by its label."""

_COSTS: Mapping[str, tuple[str, float]] = {
    "macs": ("MMACs", 1e-6),
    "params": ("parameters (millions)", 1e-6),
    "latency": ("latency (ms)", 1e3),
}
"""Axis label of each cost, and the factor to the label's unit."""


@dataclass(frozen=True)
class Point:
    """Another network to show beside the candidates, such as a baseline."""

    label: str
    cost: float
    """Cost in the unit of the trials' records: MACs, parameters or seconds."""
    score: float
    """Score as the trials' records have it, such as an accuracy in 0..1."""


def history(
    trials: Sequence[FrozenTrial], metric: str = "accuracy", phases: Mapping[str, int] | None = None
) -> Figure:
    """Draw the score of every trial in order, and the best so far without confirmations.

    `phases` has the number of the first trial of each phase, by the phase's name.
    """
    figure, axes = new_figure("trial", score_label(metric))
    scored = [trial for trial in trials if counts(trial) and metric in Record.of(trial).measured]
    complete = [trial for trial in scored if trial.state == TrialState.COMPLETE]
    stopped = [trial for trial in scored if trial.state == TrialState.PRUNED]
    first = [trial for trial in complete if Record.of(trial).confirms is None]
    confirmed = [trial for trial in complete if Record.of(trial).confirms is not None]
    floor = lowest_shown(_scores(scored, metric))

    def draw(label: str, group: Sequence[FrozenTrial], **style: Any) -> None:
        scatter(axes, [trial.number for trial in group], _scores(group, metric), floor, label, **style)

    draw("trained in full", first, color=BLUE)
    draw("stopped early", stopped, edgecolors=GREY, facecolors="none")
    draw("confirmed with another seed", confirmed, marker="D", color=GREEN)
    if first:
        best = np.maximum.accumulate(_scores(first, metric))
        numbers = [*(trial.number for trial in first), scored[-1].number]
        axes.step(numbers, [*best, best[-1]], where="post", color=RED, lw=1.4, label="best so far")
    _draw_failures(axes, trials)
    if trials:
        axes.set_xlim(trials[0].number - 1, trials[-1].number + 1)
    for name, number in (phases or {}).items():
        _draw_phase(axes, name, number)
    return with_legend(figure, axes)


def _scores(trials: Sequence[FrozenTrial], metric: str) -> list[float]:
    """Return the scores of trials in the unit in which they are drawn."""
    return [score_unit(metric) * Record.of(trial).measured[metric] for trial in trials]


def _draw_failures(axes: Axes, trials: Sequence[FrozenTrial]) -> None:
    """Mark failed trials at the bottom of the axes."""
    numbers = [trial.number for trial in trials if trial.state == TrialState.FAIL and counts(trial)]
    if numbers:
        style: dict[str, Any] = {"marker": "x", "color": "black", "s": 22}
        bottom, transform = np.full(len(numbers), 0.02), axes.get_xaxis_transform()
        axes.scatter(numbers, bottom, label="failed", transform=transform, **style)


def _draw_phase(axes: Axes, name: str, first: int) -> None:
    """Name a phase above the axes, and draw a line before its first trial."""
    if first > 0:
        axes.axvline(first - 0.5, color=GREY, lw=0.8, ls="--", zorder=1)
    axes.annotate(
        name,
        (first - 0.4, 1.0),
        xycoords=axes.get_xaxis_transform(),
        xytext=(2, 3),
        textcoords="offset points",
        fontsize=9,
        color="#555555",
    )


def front(
    trials: Sequence[FrozenTrial],
    metric: str = "accuracy",
    cost: str = "macs",
    others: Sequence[Point] = (),
) -> Figure:
    """Draw score against `cost` of every candidate trained in full that has one, with the nondominated front.

    Candidates with several runs are drawn at their mean, with one standard deviation.
    """
    unit, factor = _COSTS[cost]
    figure, axes = new_figure(unit, score_label(metric))
    known = {trial.number: Record.of(trial).measured for trial in trials}
    candidates = [each for each in measured(trials) if cost in known[each.numbers[0]]]
    costs = factor * np.array([known[each.numbers[0]][cost] for each in candidates])
    _draw_candidates(axes, costs, candidates, score_unit(metric))
    for index, point in enumerate(others):
        marker, color = "sP^vX"[index % 5], (ORANGE, RED, GREEN)[index % 3]
        style: dict[str, Any] = {"marker": marker, "color": color, "edgecolors": "black", "s": 64}
        axes.scatter(
            [factor * point.cost], [score_unit(metric) * point.score], zorder=4, label=point.label, **style
        )
    return with_legend(figure, axes)


def _draw_candidates(axes: Axes, costs: Floats, candidates: Sequence[Measured], score_unit: float) -> None:
    """Draw candidates at their costs [n] and mean scores: those on the front joined, the others as points.

    `score_unit` is the factor from scores to those that are drawn.
    """
    if not candidates:
        return
    scores = score_unit * np.array([candidate.mean[0] for candidate in candidates])
    best = ~dominated(np.stack([scores, -costs], axis=1))
    scatter(axes, costs[~best], scores[~best], lowest_shown(scores), "candidate", color=GREY)
    order = np.argsort(costs[best])
    x, y = costs[best][order], scores[best][order]
    axes.plot(x, y, drawstyle="steps-post", color=BLUE, lw=1.4, marker="o", ms=6, label="front")
    spread = np.array([candidate.spread[0] if candidate.spread else np.nan for candidate in candidates])
    repeated = ~np.isnan(spread)
    if repeated.any():
        style: dict[str, Any] = {"fmt": "none", "ecolor": "black", "elinewidth": 1, "capsize": 2.5}
        x, y, sd = costs[repeated], scores[repeated], score_unit * spread[repeated]
        axes.errorbar(x, y, sd, label="sd over seeds", **style)


def predicted(trials: Sequence[FrozenTrial], metric: str = "accuracy") -> Figure:
    """Draw scores predicted before training against those measured, with their rank correlation."""
    label = score_label(metric)
    figure, axes = new_figure(f"predicted {label}", f"measured {label}")
    guesses, scores, spreads = (score_unit(metric) * each for each in predictions(trials, metric))
    if len(scores):
        floor = lowest_shown(scores)
        shown = np.maximum(scores, floor)
        bars: dict[str, Any] = {"fmt": "none", "ecolor": GREY, "elinewidth": 0.8}
        axes.errorbar(guesses, shown, xerr=spreads, label="1 sd of the prediction", **bars)
        scatter(axes, guesses, scores, floor, "trial", color=BLUE)
        ends = [min(guesses.min(), shown.min()), max(guesses.max(), shown.max())]
        axes.plot(ends, ends, color=RED, lw=1.2, ls="--", label="as predicted")
        agreement = spearman(guesses, scores)
        if agreement is not None:
            axes.set_title(f"rank correlation {agreement}", fontsize=10, loc="left")
    return with_legend(figure, axes)


def curves(trials: Sequence[FrozenTrial], metric: str = "accuracy", fraction: float | None = None) -> Figure:
    """Draw learning curves; those stopped early end in a cross.

    `fraction` is the part of a training from which on early stopping is allowed, None if it is not.
    """
    figure, axes = new_figure("part of the training (%)", score_label(metric))
    drawn = [(trial, curve) for trial in trials if (curve := Record.of(trial).curve)]
    complete = [(trial, curve) for trial, curve in drawn if trial.state == TrialState.COMPLETE]
    best, _ = max(complete, key=lambda pair: pair[1][-1][1], default=(None, None))
    floor = lowest_shown([score for _, curve in drawn for _, score in curve])
    in_legend, unit = set(), score_unit(metric)
    for trial, curve in drawn:
        kind = "stopped early" if trial.state == TrialState.PRUNED else "trained in full"
        label = "best" if trial is best else kind
        shares, scores = np.array(curve).T
        entry = None if label in in_legend else label
        axes.plot(100 * shares, unit * np.maximum(scores, floor), label=entry, **_CURVE_STYLES[label])
        in_legend.add(label)
    if fraction is not None:
        axes.axvline(100 * fraction, color="black", lw=1, ls=":", label="stopping allowed from here")
    axes.set_xlim(0, 102)
    return with_legend(figure, axes)


def predictions(trials: Sequence[FrozenTrial], metric: str) -> tuple[Floats, Floats, Floats]:
    """Return predicted scores, measured scores and predicted standard deviations, each [n].

    The trials are those trained in full whose score was predicted.
    """
    records = [Record.of(trial) for trial in trials if trial.state == TrialState.COMPLETE]
    rows = [
        (record.predicted, record.measured[metric], record.predicted_sd)
        for record in records
        if record.predicted is not None
    ]
    guesses, scores, spreads = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return guesses, scores, spreads
