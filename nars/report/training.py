"""Draws the losses and the scores of one training by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from nars.report.style import GREY

__all__ = ["draw_training"]

Series = Mapping[str, Sequence[float | None]]
"""Values of every epoch by the label of their line; None for an epoch that was not measured."""


def draw_training(losses: Series, scores: Series, *, main: str) -> Figure:
    """Draw losses on the left, and scores in 0..1 on val on the right.

    The line of the loss called `main` is grey and thick. An epoch is counted from 1.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, values in losses.items():
        is_main = label == main
        epochs, measured = _measured(values)
        left.plot(epochs, measured, lw=2.5 if is_main else 1, color=GREY if is_main else None, label=label)
    for label, values in scores.items():
        epochs, measured = _measured(values)
        right.plot(epochs, measured, marker=".", label=label)
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="on val", ylim=(0, 1))
    for axes in (left, right):
        if axes.lines:
            axes.legend(fontsize="small", frameon=False)
    return figure


def _measured(values: Sequence[float | None]) -> tuple[list[int], list[float]]:
    """The epochs that were measured, and their values."""
    pairs = [(epoch, value) for epoch, value in enumerate(values, start=1) if value is not None]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]
