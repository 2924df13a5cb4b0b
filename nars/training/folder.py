"""The folder that a training leaves behind, and from which it continues after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from nars.errors import RunError
from nars.training.logs import Logs, Row

__all__ = ["TrainingFolder"]

_LOCK = ".lock"
"""The file whose lock a training holds while it runs."""


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

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None, *, continued: bool = False) -> Iterator[Self]:
        """The folder while a training runs, which no other can have meanwhile.

        Raises `RunError` if another has it, if it cannot be written, and if a training that is `continued`
        has lost its best weights.
        """
        best = None if path is None or not continued else cls.weights(path, "best")
        if path is not None and best is not None and not best.exists():
            raise RunError(f"{best} is missing; delete {cls.checkpoint(path)} to start anew")
        with nullcontext() if path is None else _taken(path):
            folder = cls(path)
            try:
                yield folder
            finally:
                folder._logs.close()


@contextmanager
def _taken(path: Path) -> Iterator[None]:
    """A folder that is locked. The lock of a process that is killed is free at once."""
    lock = FileLock(path / _LOCK)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except NotImplementedError:
        pass  # some network disks have no locks: a training is worth more there than its being alone
    except Timeout:
        raise RunError(f"another training writes to {path}: let it end, or name another folder") from None
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()
