"""Finds the classes and the images of a YOLO folder, by its data.yaml, obj.data or classes.txt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nars.data.pictures import SUFFIXES
from nars.errors import DataError
from nars.foreign.files import Finder, folders, listing
from nars.foreign.names import check_alone, is_leftover, parts_of, split_of
from nars.foreign.numbers import whole
from nars.foreign.paths import inside, is_file, is_there
from nars.foreign.text import read_lines
from nars.foreign.values import ABSENT, names_by_line, numbered_names, read_yaml

__all__ = ["Layout", "find"]

_YAML = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""Usual names of the description of a data set."""

_CLASSES = ("classes.txt", "obj.names", "predefined_classes.txt", "labels.txt")
"""Names of a file with a class on each line."""


@dataclass(frozen=True)
class Layout:
    """The classes and images of a folder."""

    names: Mapping[int, str]
    parts: Mapping[str, list[Path]]
    """The image files of train, val and test."""
    source: str
    """The file that describes the data set."""
    points: int = 0
    """Numbers of points behind each box."""
    passed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def find(folder: Path) -> Layout | None:
    """The layout of a folder; None if it is none of YOLO's. Raises `DataError`."""
    return _by_yaml(folder) or _by_darknet(folder) or _by_classes(folder)


def _by_yaml(folder: Path) -> Layout | None:
    path = next((folder / name for name in _YAML if (folder / name).is_file()), None)
    path = path or next(_other_yaml(folder), None)
    if path is None:
        return None
    fields = read_yaml(path)
    if not isinstance(fields, dict):
        raise DataError(f"{path}: must hold names, train and val")
    names = numbered_names(fields.get("names"), path)
    entries: dict[str, Any] = {}
    for key, value in fields.items():
        split = split_of(key)
        if split and value and not (isinstance(value, str) and value.strip() in ABSENT):
            entries.setdefault(split, value)
    where = _Where(folder, path, fields.get("path"))
    found = {name: where.files(entry) for name, entry in (entries or {"train": "images"}).items()}
    return Layout(
        names,
        {name: found[name] for name in ("train", "val", "test") if name in found},
        path.name,
        _points(fields.get("kpt_shape"), path),
    )


def _other_yaml(folder: Path) -> Iterator[Path]:
    """YAML files of another name that hold classes and a part."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".yaml", ".yml") and not is_leftover(path.name) and path.is_file():
            try:
                fields = read_yaml(path)
            except DataError:
                continue
            if isinstance(fields, dict) and "names" in fields and any(map(split_of, fields)):
                yield path


def _points(shape: Any, path: Path) -> int:
    """How many numbers of points follow a box, by ``kpt_shape``. Raises `DataError`."""
    if shape is None or shape in ABSENT:
        return 0
    try:
        count, size = (whole(number, "kpt_shape") for number in shape)
    except (TypeError, ValueError):
        raise DataError(f"{path}: kpt_shape must be two numbers: of points, and 2 or 3 of each") from None
    return count * size


def _by_darknet(folder: Path) -> Layout | None:
    path = next((file for file in sorted(folder.glob("*.data")) if file.is_file()), None)
    if path is None:
        return None
    pairs = (line.partition("=") for line in read_lines(path) if not line.startswith("#"))
    fields = {key.strip().lower(): value.strip() for key, _, value in pairs}
    where = _Where(folder, path, None)
    named = where.file(fields.get("names", "obj.names"))
    if named is None:
        return None
    names = names_by_line(named)
    found = {split: where.files(fields[key]) for key in fields if (split := split_of(key)) and fields[key]}
    found = found or {"train": listing(folder, SUFFIXES).files}
    return Layout(names, {name: found[name] for name in ("train", "val", "test") if name in found}, path.name)


def _by_classes(folder: Path) -> Layout | None:
    options = (parent / name for parent in (folder, folder / "labels") for name in _CLASSES)
    path = next((option for option in options if option.is_file()), None)
    if path is None:
        return None
    found = _parts(folder)
    if not found:
        return None
    return Layout(
        names_by_line(path),
        {name: found[name].files for name in ("train", "val", "test") if name in found},
        path.relative_to(folder).as_posix(),
        passed={
            name: {reason: count for reason, count in part.passed.items() if reason != ".txt"}
            for name, part in found.items()
        },
    )


def _parts(folder: Path) -> dict[str, Any]:
    """The images of each part: in images/PART, in PART/images, in images/ or in the folder itself."""
    pictures = next((part for part in folders(folder) if part.name.lower() == "images"), None)
    for parent in (pictures, folder):
        found = {}
        places: dict[str, Path] = {}
        for part in folders(parent) if parent else ():
            split = split_of(part.name)
            held = listing(part, SUFFIXES) if split else None
            if split and held and held.files:
                check_alone(split, part, places)
                places[split], found[split] = part, held
        if found:
            return found
    alone = listing(pictures or folder, SUFFIXES, deep=pictures is not None)
    flat = any(file.with_suffix(".txt").is_file() for file in alone.files)
    return {"train": alone} if alone.files and (pictures or flat) else {}


class _Where:
    """Follows the paths that the description of a data set names."""

    def __init__(self, folder: Path, source: Path, base: Any) -> None:
        self.folder = folder
        self.source = source
        given = folder / base if isinstance(base, str) and base not in ABSENT else folder
        self.bases = (given, folder) if given.is_dir() else (folder,)
        self._finder = Finder(folder, SUFFIXES)

    def files(self, entry: Any) -> list[Path]:
        """The images of a folder, of a list in a file, or of several of these. Raises `DataError`."""
        if isinstance(entry, list):
            return [file for part in entry for file in self.files(part)]
        target = self._target(entry)
        if target is None:
            raise DataError(f"{self.source}: no folder or list of images {entry!r}")
        if target.is_dir():
            return listing(target, SUFFIXES).files
        return [self._image(line, target.parent) for line in read_lines(target)]

    def file(self, entry: str) -> Path | None:
        """The file that an entry names."""
        target = self._target(entry)
        return target if target is not None and is_file(target) else None

    def _target(self, entry: Any) -> Path | None:
        """The file or folder that an entry names, however its system spells it."""
        if not isinstance(entry, str):
            return None
        for base in self.bases:
            if is_there(base / entry):
                return inside(base / entry, self.folder)
        parts = parts_of(entry)
        options = (
            base.joinpath(*parts[start:]) for base in self.bases for start in range(len(parts))
        )  # Roboflow writes ../train/images for train/images, darknet data/train.txt for train.txt
        return next((option for option in options if is_there(option)), None)

    def _image(self, line: str, beside: Path) -> Path:
        """The image of a line of a list: relative to the list or the data set, else found by its name."""
        for base in (beside, *self.bases):
            if is_file(base / line):
                return inside(base / line, self.folder)
        found = self._finder.find(line)
        return beside.joinpath(*parts_of(line)) if found is None else self.folder / found
