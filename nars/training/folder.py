"""The folder that a training leaves behind, and from which it continues after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nars.errors import RunError
from nars.training.logs import Logs, Row

__all__ = ["TrainingFolder"]


class TrainingFolder:
    """Writes ``results.csv``, TensorBoard's files, ``weights/last.pt`` and ``weights/best.pt``.

    With `path` None it writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._logs = Logs(path)

    @staticmethod
    def checkpoint(path: Path) -> Path:
        """The checkpoint of a training in the folder `path`."""
        return path / "checkpoint.pt"

    @staticmethod
    def weights(path: Path, name: str) -> Path:
        """The file of the ``best`` or the ``last`` weights in the folder `path`."""
        return path / "weights" / f"{name}.pt"

    def write(self, rows: Sequence[Row], improved: bool, save: Callable[[Path], None]) -> None:
        """Write the table of all epochs, and let `save` write the weights of the last one.

        `improved` says whether they are the best so far, too. Raises `RunError`.
        """
        if self.path is None:
            return
        self._logs.write(rows)
        for name in ("last", "best") if improved else ("last",):
            save(self.weights(self.path, name))

    def check_continued(self) -> None:
        """Raise `RunError` if the best weights are gone, which a training that continues needs."""
        best = None if self.path is None else self.weights(self.path, "best")
        if self.path is not None and best is not None and not best.exists():
            raise RunError(f"{best} is missing; delete {self.checkpoint(self.path)} to start anew")

    def close(self) -> None:
        """Close TensorBoard's file."""
        self._logs.close()
