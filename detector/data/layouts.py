"""Loads a detection data set from its folder; Pascal VOC and YOLO are converted to COCO's records.

COCO's annotation files are searched for at the paths below; images next to them, in
``images/``, ``images/train/`` or ``train/``. Validation may be called val, valid or
validation, and the names may end in a year (``val2017``).

    DIR/train/annotations.json          also _annotations.coco.json, instances.json, or the only JSON there
    DIR/instances_train.json
    DIR/annotations/instances_train.json
    DIR/annotations.json                one file for all

If there is no validation part, a fifth of the training images is set aside for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detector.data import scenes, voc, yolo
from detector.data.coco import read_subset
from detector.data.findings import FindingHandler, refuse
from detector.data.records import CocoData, Subset, divide
from nars.errors import DataError

__all__ = ["load"]

_WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation")}
"""Names that folders and files use for each split."""

_STANDARD_FILES = ("annotations.json", "_annotations.coco.json", "instances.json", "instances_default.json")
"""Names of annotation files that do not name their split."""


def load(source: str | Path, report: FindingHandler = refuse) -> CocoData:
    """Load the data set in a folder, or the embedded ``digit-scenes``.

    A folder may have a validation part only. The records are as in the files;
    `detector.data.check.usable` makes sure that they can be trained on. Entries that cannot be
    parsed go to `report`, which by default raises `DataError`. Also raises `DataError` for a
    folder without a data set.
    """
    if source == scenes.NAME:
        return scenes.make()
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder (give a folder, or {scenes.NAME})")
    data = _coco(folder, report) or yolo.read(folder, report) or voc.read(folder, report)
    if data is None:
        raise DataError(
            f"{folder}: no data set found; looked for COCO (train/*.json, instances_train.json, "
            "annotations/instances_train.json), YOLO (data.yaml or classes.txt) and Pascal VOC (*.xml)"
        )
    return data


def _coco(folder: Path, report: FindingHandler) -> CocoData | None:
    files = {name: _annotation_file(folder, words) for name, words in _WORDS.items()}
    subsets = {}
    for name, file in files.items():
        if file is not None:
            path, word = file
            subsets[name] = read_subset(name, path, list(_roots(folder, path, word)), report)
    if "val" not in subsets and "train" in subsets:
        return divide(subsets["train"])
    if subsets:
        empty = {name: Subset(name, folder, folder) for name in _WORDS}
        return CocoData(**(empty | subsets))
    for path in (parent / name for parent in (folder, folder / "annotations") for name in _STANDARD_FILES):
        if path.is_file():
            return divide(read_subset("train", path, list(_roots(folder, path, "")), report))
    return None


def _annotation_file(folder: Path, words: tuple[str, ...]) -> tuple[Path, str] | None:
    """Find the annotation file of a split, and the word that names its folders."""
    for word in words:
        for parent in (folder, folder / "annotations"):
            for pattern in (f"instances_{word}*.json", f"{word}.json", f"{word}[0-9]*.json"):
                if path := _only(parent, pattern):
                    return path, path.stem.removeprefix("instances_")
        for part in (*folder.glob(word), *sorted(folder.glob(f"{word}[0-9]*"))):
            for name in _STANDARD_FILES:
                if (part / name).is_file():
                    return part / name, part.name
            if path := _only(part, "*.json"):
                return path, part.name
    return None


def _only(folder: Path, pattern: str) -> Path | None:
    paths = sorted(folder.glob(pattern))
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths[:4])
        raise DataError(
            f"{folder}: several annotation files ({names}); keep one, or name it annotations.json"
        )
    return paths[0] if paths else None


def _roots(folder: Path, path: Path, word: str) -> Iterator[Path]:
    yield from (path.parent, path.parent / "images") if path.parent.name != "annotations" else ()
    yield from (folder / "images" / word, folder / "images", folder / word / "images", folder / word, folder)
