"""Recognises data sets of classes that are not read from their folder, and says how they are."""

from __future__ import annotations

from pathlib import Path

from nars.data.readers.columns import IMAGE, head_of, plain
from nars.errors import DataError
from nars.foreign.files import folders
from nars.foreign.names import is_leftover
from nars.foreign.paths import open_file

__all__ = ["named"]

_HEAD = 10_000
"""Bytes of a file that are looked at."""

_AS_TABLE = "write a CSV with the columns path and label"

_SIGNS = {
    (".jsonl", '"file_name"'): ("metadata of Hugging Face", "give hf:{folder} (pip install 'nars[hf]')"),
    (".json", '"labels"'): ("FiftyOne's labels", "export as ImageClassificationDirectoryTree"),
    (".manifest", '"source-ref"'): ("a manifest of SageMaker Ground Truth", _AS_TABLE),
    (".ndjson", '"data_row"'): ("Labelbox's format", _AS_TABLE),
    (".json", '"data"'): ("Label Studio's JSON", "export as CSV, and give it with --data"),
}
"""A suffix and a text in the beginning of a file, what they give away, and the remedy."""

_NAMES = {
    "-idx3-ubyte": ("MNIST's files", "put them into X/MNIST/raw and give mnist:X"),
    "data_batch_": ("CIFAR-10's files", "give cifar10:X, the folder that holds cifar-10-batches-py"),
    ".tfrecord": ("a TFRecord", "write the images into class folders"),
    ".tar": ("an archive, perhaps of WebDataset", "unpack it into class folders"),
    ".zip": ("an archive", "unpack it"),
}
"""Parts of the name of a file, and the same."""


def named(folder: Path) -> str | None:
    """Say in which file or format the labels of a folder are, and what to give; None if that is unknown."""
    for place in (folder, *folders(folder)):
        files = [file for file in sorted(place.iterdir()) if file.is_file() and not is_leftover(file.name)]
        tables = [file for file in files if file.suffix.lower() == ".csv" and _is_table(file)]
        if tables:
            return f"its labels may be in a table: give one with --data: {', '.join(map(str, tables[:4]))}"
        for file in files:
            found = _of_name(file.name) or _of_content(file)
            if found is not None:
                what, remedy = found
                return f"{file.relative_to(folder)} is {what}: {remedy.format(folder=folder)}"
    return None


def _is_table(file: Path) -> bool:
    """Whether a CSV has a column for pictures, and is not a competition's example of an answer."""
    try:
        return "submission" not in file.name and not set(map(plain, head_of(file))).isdisjoint(IMAGE)
    except DataError:
        return False


def _of_name(name: str) -> tuple[str, str] | None:
    return next((found for part, found in _NAMES.items() if part in name.lower()), None)


def _of_content(file: Path) -> tuple[str, str] | None:
    suffix = file.suffix.lower()
    if all(suffix != known for known, _ in _SIGNS):
        return None
    try:
        with open_file(file) as stream:
            text = stream.read(_HEAD).decode(errors="replace")
    except OSError:
        return None
    return next((found for (known, part), found in _SIGNS.items() if known == suffix and part in text), None)
