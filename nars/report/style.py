"""The common look of pictures: axes, colours, legends, and points of scores; saving as PNG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nars.files import write_whole
from nars.training.metrics import is_function

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "RED",
    "lowest_shown",
    "new_figure",
    "save_png",
    "scatter",
    "score_label",
    "score_text",
    "score_unit",
    "to_png",
    "with_legend",
]

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A8A8A"
"""Okabe and Ito's colours, which colour-blind readers can tell apart, and a grey."""


def new_figure(x: str, y: str) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes, labelled `x` and `y`."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#E6E6E6", lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def with_legend(figure: Figure, axes: Axes) -> Figure:
    """Add the legend below the axes, where it covers nothing, or a note if there is nothing to show."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    else:
        axes.text(0.5, 0.5, "nothing to show yet", transform=axes.transAxes, ha="center", color=GREY)
    return figure


def score_unit(metric: str) -> float:
    """Return the factor to the unit of scores in pictures: percent, but for a function of the user's own."""
    return 1.0 if is_function(metric) else 100.0


def score_label(metric: str) -> str:
    """Return the label of an axis of scores."""
    return f"val {metric}" if is_function(metric) else f"val {metric} (%)"


def score_text(score: float, metric: str) -> str:
    """Return a score in its unit."""
    return f"{score:.4f}" if is_function(metric) else f"{score:.2%}"


def lowest_shown(scores: ArrayLike) -> float:
    """Return the lowest score to draw to scale; outliers below it would squeeze all other scores."""
    values = np.asarray(scores, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0
    median, top = np.median(values), values.max()
    spread = top - median or median - np.quantile(values, 0.25) or top - values.min()
    return float(values[values >= median - 2.5 * spread].min())


def scatter(axes: Axes, x: ArrayLike, scores: ArrayLike, floor: float, label: str, **style: Any) -> None:
    """Draw points of scores in the unit of the axes; those below the floor become arrows on it."""
    positions, values = np.asarray(x, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    low = values < floor
    if (~low).any():
        axes.scatter(positions[~low], values[~low], label=label, s=26, zorder=3, **style)
    if low.any():
        style = style | {"marker": "v", "label": f"{label}, below"}
        axes.scatter(positions[low], np.full(low.sum(), floor), s=26, zorder=3, **style)


def to_png(figure: Figure) -> bytes:
    """Render a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a picture, whole or not at all. Raises `RunError`."""
    write_whole(path, to_png(figure))
