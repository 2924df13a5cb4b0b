"""Writes the numbers of every epoch to ``results.csv`` and, if installed, TensorBoard's files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nars.files import write_whole

__all__ = ["Logs", "Row", "table"]

Row = Mapping[str, float | int | None]
"""The numbers of an epoch by their names, ``epoch`` among them; None for what was not measured."""


class Logs:
    """Writes to `folder`, or nothing if it is None."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._board: Any = None
        if folder is not None and find_spec("tensorboard") is not None:
            writer = import_module("torch.utils.tensorboard").SummaryWriter
            self._board = writer(str(folder / "tensorboard"))

    def write(self, rows: Sequence[Row]) -> None:
        """Write all of `rows`, one for each epoch, to the table, and the last one to TensorBoard."""
        if self.folder is None:
            return
        write_whole(self.folder / "results.csv", table(rows))
        if self._board is not None:
            last = rows[-1]
            for name, value in last.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, last["epoch"])
            self._board.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def table(rows: Sequence[Row]) -> str:
    """Return CSV with a line per row; what was not measured is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
