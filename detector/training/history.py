"""Draws the losses and the AP of a training by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from detector.training.progress import Epoch
from nars.report.training import draw_training

__all__ = ["draw_history"]

_SCORES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "mask_ap": "mask AP"}
"""Labels of the scores that are drawn, by their names."""


def draw_history(history: Sequence[Epoch]) -> Figure:
    """Draw the mean losses of every epoch, and the AP of the epochs that measured it."""
    losses = {_label(name): [entry.losses[name] for entry in history] for name in history[0].losses}
    measured = [entry.scores or {} for entry in history]
    scores = {
        label: [numbers.get(name) for numbers in measured]
        for name, label in _SCORES.items()
        if any(name in numbers for numbers in measured)
    }
    return draw_training(losses, scores, main=_label("loss"))


def _label(loss: str) -> str:
    return "sum" if loss == "loss" else loss.removeprefix("loss_").replace("_", " ")
