"""Classes of pictures that lie in one folder, by a list beside it: ILSVRC's validation images come so.

A line of the list has the name of a picture, with or without its suffix, and its class: the name of a class
folder, or the number of one in alphabetical order, from 0. Kaggle's ``LOC_val_solution.csv`` has boxes
behind the class, which are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nars.data.pictures import SUFFIXES
from nars.errors import DataError
from nars.foreign.files import listing
from nars.foreign.names import is_leftover, parts_of
from nars.foreign.text import read_text

__all__ = ["listed_classes"]

_LISTS = (".txt", ".csv", ".tsv", ".lst")
"""Suffixes of lists."""

_BETWEEN = re.compile(r"[\s,;]+")
"""Separators between a picture and its class."""


def listed_classes(
    folder: Path, places: Iterable[Path], classes: Sequence[str]
) -> tuple[Path, dict[Path, str]] | None:
    """The list that is about the pictures in `folder`, and the class of each; None if there is no list.

    It is looked for in `places`. Raises `DataError` for a list that lacks a picture, or names other classes.
    """
    pictures = listing(folder, SUFFIXES, deep=False).files
    known = {file.stem: file for file in pictures} | {file.name: file for file in pictures}
    for file in _lists(places):
        found = _classes_in(file, known, classes)
        if found:
            lacking = next((picture for picture in pictures if picture not in found), None)
            if lacking is not None:
                count = f"{len(found)} of the {len(pictures)} pictures"
                raise DataError(f"{file} has {count} in {folder}: {lacking.name} is not among them")
            return file, {picture: found[picture] for picture in pictures}
    return None


def _lists(places: Iterable[Path]) -> list[Path]:
    """The files that may be lists, in order."""
    return [
        file
        for place in dict.fromkeys(places)
        for file in sorted(place.iterdir())
        if file.suffix.lower() in _LISTS and not is_leftover(file.name) and file.is_file()
    ]


def _classes_in(file: Path, known: Mapping[str, Path], classes: Sequence[str]) -> dict[Path, str]:
    """The class of each picture that the list names. Raises `DataError`."""
    try:
        lines = read_text(file).splitlines()
    except DataError:
        return {}  # none that can be read
    found: dict[Path, str] = {}
    numbers = {title: number for number, title in enumerate(classes)}
    for number, line in enumerate(lines, start=1):
        name, *words = _BETWEEN.split(line.strip().replace('"', ""))
        parts = parts_of(name)
        picture = known.get(parts[-1]) if parts else None
        if picture is not None and words:
            found[picture] = _class_of(words, numbers, f"{file}, line {number}")
    return found


def _class_of(words: Sequence[str], classes: Mapping[str, int], place: str) -> str:
    """The class that the words behind a picture name. Raises `DataError` for none, and for several."""
    whole = " ".join(words)
    named = [whole] if whole in classes else [word for word in dict.fromkeys(words) if word in classes]
    if len(named) == 1:
        return named[0]
    if named:
        raise DataError(f"{place} has the classes {', '.join(named[:3])}; a classifier tells one of several")
    number = words[0]
    if number.isdecimal() and len(number) < 9 and int(number) < len(classes):
        return next(title for title, at in classes.items() if at == int(number))
    raise DataError(f"{place}: no class {number!r} among the {len(classes)} folders of train, counted from 0")
