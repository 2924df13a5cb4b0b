"""Detection data sets by folder: COCO's layouts here, Pascal VOC and YOLO by conversion.

COCO's annotation files are looked for in these places; images beside them, in ``images/``,
``images/train/`` or ``train/``. The word for validation may be val, valid or validation,
and either word may end in a year (``val2017``).

    DIR/train/annotations.json          also _annotations.coco.json, instances.json, or the only JSON there
    DIR/instances_train.json
    DIR/annotations/instances_train.json
    DIR/annotations.json                one file for all

Without a validation part a fifth of the training images is set aside for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detector.data import scenes, voc, yolo
from detector.data.coco import read_split
from detector.data.findings import FindingHandler, refuse
from detector.data.records import CocoData, Subset, divide
from nars.errors import DataError

__all__ = ["load"]

_WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation")}

_ALONE = ("annotations.json", "_annotations.coco.json", "instances.json", "instances_default.json")


def load(source: str | Path, report: FindingHandler = refuse) -> CocoData:
    """A data set by its folder, or ``digit-scenes``, the embedded one.

    A folder may have a validation part only. The records are as the files have them;
    `detector.data.check.usable` makes sure that they can be trained on. What cannot be parsed goes
    to `report`, which by default raises `DataError`, as does a folder in which nothing is found.
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
    found = {name: _find(folder, words) for name, words in _WORDS.items()}
    splits = {
        name: read_split(name, path, list(_roots(folder, path, word)), report)
        for name, (path, word) in ((name, place) for name, place in found.items() if place)
    }
    if "val" not in splits and "train" in splits:
        return divide(splits["train"])
    if splits:
        empty = {name: Subset(name, folder, folder) for name in _WORDS}
        return CocoData(**(empty | splits))
    for path in (parent / name for parent in (folder, folder / "annotations") for name in _ALONE):
        if path.is_file():
            return divide(read_split("train", path, list(_roots(folder, path, "")), report))
    return None


def _find(folder: Path, words: tuple[str, ...]) -> tuple[Path, str] | None:
    """The annotation file of a split, and the word that its folders go by."""
    for word in words:
        for parent in (folder, folder / "annotations"):
            for pattern in (f"instances_{word}*.json", f"{word}.json", f"{word}[0-9]*.json"):
                if path := _only(parent, pattern):
                    return path, path.stem.removeprefix("instances_")
        for place in (*folder.glob(word), *sorted(folder.glob(f"{word}[0-9]*"))):
            for name in _ALONE:
                if (place / name).is_file():
                    return place / name, place.name
            if path := _only(place, "*.json"):
                return path, place.name
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
