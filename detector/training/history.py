"""Draws the losses and the AP of a training by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from detector.training.progress import Epoch
from nars.report.plots import GREY

__all__ = ["draw_history"]


def draw_history(history: Sequence[Epoch]) -> Figure:
    """Draw the mean losses of every epoch, and the AP of the epochs that measured it."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    epochs = [entry.epoch for entry in history]
    for name in history[0].losses:
        is_sum = name == "loss"
        values = [entry.losses[name] for entry in history]
        label = "sum" if is_sum else name.removeprefix("loss_").replace("_", " ")
        losses.plot(epochs, values, lw=2.5 if is_sum else 1, color=GREY if is_sum else None, label=label)
    measured = [entry for entry in history if entry.scores is not None]
    measured_epochs = [entry.epoch for entry in measured]
    for name, label in (("ap", "AP"), ("ap50", "AP50"), ("ap75", "AP75"), ("mask_ap", "mask AP")):
        if measured and name in (measured[0].scores or {}):
            scores.plot(
                measured_epochs, [(entry.scores or {})[name] for entry in measured], marker=".", label=label
            )
    losses.set(xlabel="epoch", ylabel="loss in training", ylim=(0, None))
    scores.set(xlabel="epoch", ylabel="on val", ylim=(0, 1))
    for axes in (losses, scores):
        axes.legend(fontsize="small", frameon=False)
    return figure
