"""``nars detect``: the detector, from its data to a file for deployment."""

from __future__ import annotations

import click

from nars.cli.commands import Table

__all__ = ["detect_command"]

COMMANDS = {
    "train": ("detector.cli.train:train_command", "Train the detector of an architecture."),
    "evaluate": ("detector.cli.evaluate:evaluate_command", "Measure a trained detector: AP, MACs, latency."),
    "predict": ("detector.cli.predict:predict_command", "Find objects in images and videos."),
    "export": ("detector.cli.export:export_command", "Write a detector as a file that runs without nars."),
}
"""Word -> (module:command, what it does)."""


@click.group("detect", cls=Table, table=COMMANDS)
def detect_command() -> None:
    """Train, evaluate, run and export the detector.

    Example: nars detect train best.yaml --data COCO_DIR --weights best.pt
    """
