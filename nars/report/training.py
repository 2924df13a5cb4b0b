"""Draws the losses and the scores of one training by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nars.report.style import GREY

__all__ = ["draw_training"]

Series = Mapping[str, Sequence[float | None]]
"""Values of every epoch by the label of their line; None for an epoch that was not measured."""


def draw_training(losses: Series, scores: Series, *, main: str) -> Figure:
    """Draw losses on the left, and scores on val on the right.

    The line of the loss called `main` is grey and thick. Scores that leave 0..1, such as those of a
    function of the user's own, have an axis of their own and dashed lines. An epoch is counted from 1.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, values in losses.items():
        is_main = label == main
        epochs, measured = _measured(values)
        left.plot(epochs, measured, lw=2.5 if is_main else 1, color=GREY if is_main else None, label=label)
    shares = {label: values for label, values in scores.items() if _are_shares(values)}
    for label, values in shares.items():
        right.plot(*_measured(values), marker=".", label=label)
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="on val", ylim=(0, 1))
    if others := {label: values for label, values in scores.items() if label not in shares}:
        _draw_beside(right, others)
    for axes in (left, right):
        if axes.lines:
            axes.legend(fontsize="small", frameon=False)
    return figure


def _draw_beside(axes: Axes, scores: Series) -> None:
    """Draw scores in the same picture as others, on an axis of their own at its right."""
    own = axes.twinx()
    own.set(ylabel=", ".join(scores))
    for label, values in scores.items():
        own.plot(*_measured(values), marker=".", ls="--", color="black", label=label)


def _are_shares(values: Sequence[float | None]) -> bool:
    return all(0 <= value <= 1 for value in values if value is not None)


def _measured(values: Sequence[float | None]) -> tuple[list[int], list[float]]:
    """The epochs that were measured, and their values."""
    pairs = [(epoch, value) for epoch, value in enumerate(values, start=1) if value is not None]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]
