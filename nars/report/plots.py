"""Pictures of a search: its history, its front, its predictor, its learning curves.

Each function takes trials as `nars.workers.worker` leaves them and returns a figure of matplotlib's
object-oriented interface; no state of pyplot is touched. Scores are drawn in percent.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from optuna.trial import FrozenTrial, TrialState

from nars.files import write_whole
from nars.sampling.pareto import dominated
from nars.searching.confirm import measured
from nars.searching.ranking import spearman
from nars.trials import Record, counts

__all__ = ["Point", "curves", "front", "history", "predicted", "predictions", "save_png", "to_png"]

# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A8A8A"

_HOLLOW: dict[str, Any] = {"edgecolors": GREY, "facecolors": "none"}
_DIAMOND: dict[str, Any] = {"marker": "D", "color": GREEN}
_CURVES: dict[str, dict[str, Any]] = {
    "best": {"color": RED, "lw": 2, "zorder": 4},
    "stopped early": {"color": ORANGE, "lw": 0.9, "marker": "x", "markevery": [-1], "ms": 5},
    "trained in full": {"color": BLUE, "lw": 0.9, "alpha": 0.45},
}

COSTS: Mapping[str, tuple[str, float]] = {
    "macs": ("MMACs", 1e-6),
    "params": ("parameters (millions)", 1e-6),
    "latency": ("latency (ms)", 1e3),
}
"""Axis label of a cost, and the factor to its unit."""


@dataclass(frozen=True)
class Point:
    """Another network to show beside the candidates, such as a baseline."""

    label: str
    cost: float
    """In the unit of the trials' attribute: MACs, parameters, seconds."""
    score: float
    """In 0..1."""


def history(
    trials: Sequence[FrozenTrial], metric: str = "accuracy", phases: Mapping[str, int] | None = None
) -> Figure:
    """The score of every trial in order, and the best so far, confirmations left out.

    `phases` are names with the number of the first trial of each.
    """
    figure, axes = _figure("trial", _label(metric))
    scored = [trial for trial in trials if counts(trial) and metric in Record.of(trial).measured]
    complete = [trial for trial in scored if trial.state == TrialState.COMPLETE]
    first = [trial for trial in complete if Record.of(trial).confirms is None]
    groups: list[tuple[str, list[FrozenTrial], dict[str, Any]]] = [
        ("trained in full", first, {"color": BLUE}),
        ("stopped early", [t for t in scored if t.state == TrialState.PRUNED], _HOLLOW),
        ("confirmed with another seed", [t for t in complete if t not in first], _DIAMOND),
    ]
    floor = _floor([Record.of(trial).measured[metric] for trial in scored])
    for label, chosen, style in groups:
        scores = [Record.of(trial).measured[metric] for trial in chosen]
        _scatter(axes, [trial.number for trial in chosen], scores, floor, label, **style)
    if first:
        best = 100 * np.maximum.accumulate([Record.of(trial).measured[metric] for trial in first])
        numbers = [*(trial.number for trial in first), scored[-1].number]
        axes.step(numbers, [*best, best[-1]], where="post", color=RED, lw=1.4, label="best so far")
    failed = [trial.number for trial in trials if trial.state == TrialState.FAIL and counts(trial)]
    if failed:
        style = {"marker": "x", "color": "black", "s": 22, "transform": axes.get_xaxis_transform()}
        axes.scatter(failed, np.full(len(failed), 0.02), label="failed", **style)
    if trials:
        axes.set_xlim(trials[0].number - 1, trials[-1].number + 1)
    for name, start in (phases or {}).items():
        _phase(axes, name, start)
    return _finish(figure, axes)


def front(
    trials: Sequence[FrozenTrial],
    metric: str = "accuracy",
    cost: str = "macs",
    others: Sequence[Point] = (),
) -> Figure:
    """Score against `cost` of every candidate trained in full, with the front that none dominates.

    Candidates with several runs stand at their mean, with one standard deviation.
    """
    unit, scale = COSTS[cost]
    figure, axes = _figure(unit, _label(metric))
    by_number = {trial.number: trial for trial in trials}
    candidates = measured(trials)
    costs = scale * np.array([Record.of(by_number[each.numbers[0]]).measured[cost] for each in candidates])
    scores = np.array([each.mean[0] for each in candidates])
    if candidates:
        best = ~dominated(np.stack([scores, -costs], axis=1))
        _scatter(axes, costs[~best], scores[~best], _floor(scores), "candidate", color=GREY)
        order = np.argsort(costs[best])
        x, y = costs[best][order], 100 * scores[best][order]
        axes.plot(x, y, drawstyle="steps-post", color=BLUE, lw=1.4, marker="o", ms=6, label="front")
    sure = [(at, each.spread[0]) for at, each in enumerate(candidates) if each.spread]
    if sure:
        rows, spread = map(np.array, zip(*sure, strict=True))
        style: dict[str, Any] = {"fmt": "none", "ecolor": "black", "elinewidth": 1, "capsize": 2.5}
        axes.errorbar(costs[rows], 100 * scores[rows], 100 * spread, label="sd over seeds", **style)
    for at, point in enumerate(others):
        style = {"marker": "sP^vX"[at % 5], "color": (ORANGE, RED, GREEN)[at % 3], "edgecolors": "black"}
        axes.scatter([scale * point.cost], [100 * point.score], s=64, zorder=4, label=point.label, **style)
    return _finish(figure, axes)


def predicted(trials: Sequence[FrozenTrial], metric: str = "accuracy") -> Figure:
    """What was predicted before each training against what it gave, with the rank correlation."""
    figure, axes = _figure(f"predicted {_label(metric)}", f"measured {_label(metric)}")
    guesses, scores, spreads = predictions(trials, metric)
    if len(scores):
        floor = _floor(scores)
        shown = 100 * np.maximum(scores, floor)
        bars: dict[str, Any] = {"fmt": "none", "ecolor": GREY, "elinewidth": 0.8}
        axes.errorbar(100 * guesses, shown, xerr=100 * spreads, label="1 sd of the prediction", **bars)
        _scatter(axes, 100 * guesses, scores, floor, "trial", color=BLUE)
        ends = [min(100 * guesses.min(), shown.min()), max(100 * guesses.max(), shown.max())]
        axes.plot(ends, ends, color=RED, lw=1.2, ls="--", label="as predicted")
        agreement = spearman(guesses, scores)
        if agreement is not None:
            axes.set_title(f"rank correlation {agreement}", fontsize=10, loc="left")
    return _finish(figure, axes)


def curves(trials: Sequence[FrozenTrial], metric: str = "accuracy", fraction: float | None = None) -> Figure:
    """Learning curves; those stopped early end in a cross, from the part `fraction` of a training on."""
    figure, axes = _figure("part of the training (%)", _label(metric))
    known = [(trial, curve) for trial in trials if (curve := Record.of(trial).curve)]
    complete = [(trial, curve) for trial, curve in known if trial.state == TrialState.COMPLETE]
    best, _ = max(complete, key=lambda pair: pair[1][-1][1], default=(None, None))
    floor = _floor([score for _, curve in known for _, score in curve])
    labelled = set()
    for trial, curve in known:
        kind = "stopped early" if trial.state == TrialState.PRUNED else "trained in full"
        label = "best" if trial is best else kind
        shares, scores = 100 * np.array(curve).T
        shown = None if label in labelled else label
        axes.plot(shares, np.maximum(scores, 100 * floor), label=shown, **_CURVES[label])
        labelled.add(label)
    if fraction is not None:
        axes.axvline(100 * fraction, color="black", lw=1, ls=":", label="stopping allowed from here")
    axes.set_xlim(0, 102)
    return _finish(figure, axes)


def predictions(
    trials: Sequence[FrozenTrial], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Predicted, measured and predicted standard deviation [n] of trials trained in full."""
    records = [Record.of(trial) for trial in trials if trial.state == TrialState.COMPLETE]
    chosen = [
        (record.predicted, record.measured[metric], record.predicted_sd)
        for record in records
        if record.predicted is not None
    ]
    guesses, scores, spreads = np.array(chosen, dtype=np.float64).reshape(-1, 3).T
    return guesses, scores, spreads


def to_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a picture, whole or not at all. Raises `RunError`."""
    write_whole(path, to_png(figure))


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#E6E6E6", lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finish(figure: Figure, axes: Axes) -> Figure:
    """The legend below the axes, where it covers nothing; a note where there is nothing to show."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    else:
        axes.text(0.5, 0.5, "nothing to show yet", transform=axes.transAxes, ha="center", color=GREY)
    return figure


def _label(metric: str) -> str:
    return f"val {metric} (%)"


def _floor(scores: ArrayLike) -> float:
    """The lowest score drawn at its place: a few that went wrong would squeeze all others."""
    values = np.asarray(scores, dtype=np.float64)
    if not values.size:
        return 0.0
    median, top = np.median(values), values.max()
    return float(values[values >= median - 2.5 * (top - median)].min())


def _scatter(axes: Axes, x: ArrayLike, scores: ArrayLike, floor: float, label: str, **style: Any) -> None:
    """Points of scores; those below the floor as arrows on it."""
    at, values = np.asarray(x, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    low = values < floor
    if (~low).any():
        axes.scatter(at[~low], 100 * values[~low], label=label, s=26, zorder=3, **style)
    if low.any():
        style = style | {"marker": "v", "label": f"{label}, below"}
        axes.scatter(at[low], np.full(low.sum(), 100 * floor), s=26, zorder=3, **style)


def _phase(axes: Axes, name: str, first: int) -> None:
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
