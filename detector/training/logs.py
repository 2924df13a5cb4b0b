"""Writes the numbers of every epoch to ``results.csv`` and, if installed, TensorBoard's files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from detector.training.progress import Epoch
from nars.files import write_whole

__all__ = ["Logs", "table"]


class Logs:
    """Writes to `folder`, or nothing if it is None."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._board: Any = None
        if folder is not None and find_spec("tensorboard") is not None:
            writer = import_module("torch.utils.tensorboard").SummaryWriter
            self._board = writer(str(folder / "tensorboard"))

    def write(self, history: Sequence[Epoch]) -> None:
        """Write all of `history` to the table, and its last epoch to TensorBoard."""
        if self.folder is None:
            return
        write_whole(self.folder / "results.csv", table(history))
        if self._board is not None:
            last = history[-1]
            for name, value in _row(last).items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, last.epoch)
            self._board.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def table(history: Sequence[Epoch]) -> str:
    """Return CSV with a row per epoch; what was not measured is empty."""
    rows = [_row(entry) for entry in history]
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _row(entry: Epoch) -> dict[str, float | int | None]:
    head = {"epoch": entry.epoch, "seconds": round(entry.seconds, 1), "lr": entry.lr}
    return head | dict(entry.losses) | dict(entry.samples) | dict(entry.scores or {})
