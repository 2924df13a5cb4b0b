"""Lists the files that arguments of a command name: files, folders, patterns."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path

from nars.deploy import video
from nars.deploy.drawing import is_of_album
from nars.errors import DataError
from nars.foreign.files import listing
from nars.foreign.pictures import SUFFIXES
from nars.foreign.signatures import heic_advice

__all__ = ["files", "is_video"]


def files(source: str | Path, *, names: Sequence[str] = (), without: Path | None = None) -> list[Path]:
    """The file `source`, the pictures and videos below the folder, or the files of the pattern, sorted.

    A pattern is text such as ``photos/*.jpg``; `names` are other words that the caller accepts, for the
    message. The file `without`, results in that folder (see `nars.deploy.drawing.Album`), and leftovers of a
    system are passed over. Raises `DataError` for a source without files.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        suffixes = SUFFIXES | video.SUFFIXES
        listed = listing(path, suffixes)
        found = [file for file in listed.files if file.is_file() and not _is_result(file, without)]
        if not found:
            advice = heic_advice(listed.passed)
            raise DataError(f"{path}: no picture in this folder{f'; {advice}' if advice else ''}")
        return found
    matches = glob(str(source), recursive=True)  # noqa: PTH207  Path.glob refuses absolute patterns
    found = sorted(file for file in map(Path, matches) if file.is_file() and not _is_result(file, without))
    if not found:
        besides = f" (or {', '.join(names)})" if names else ""
        raise DataError(f"{source}: no such file, folder or pattern{besides}")
    return found


def _is_result(file: Path, place: Path | None) -> bool:
    """Whether a file is `place` itself, or a picture or list of results that was written to that folder."""
    if place is None:
        return False
    own, results = file.resolve(), place.resolve()
    return own == results or (own.parent == results and is_of_album(own.name))


def is_video(path: Path) -> bool:
    """Whether a file is read as a video, by its suffix."""
    return path.suffix.lower() in video.SUFFIXES
