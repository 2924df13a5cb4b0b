"""Decides which folders of a data set are splits and which are classes.

    DIR/CLASS/...                   no split: they are cut from the images
    DIR/SPLIT/CLASS/...             train, Training, val, valid, Validation, dev, test, Testing, ...
    DIR/CLASS/SPLIT/...             the splits inside of each class
    DIR/train/CLASS/..., DIR/val/   with a list of the pictures in val and their classes

A word for a split is never a class, unless folders with other names are beside it: train beside bus and car.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nars.data.pictures import SUFFIXES
from nars.data.readers.listed import listed_classes
from nars.errors import DataError, closest
from nars.foreign.files import folders, listing
from nars.foreign.names import check_alone, is_leftover, split_of

__all__ = ["ClassFolders", "class_folders"]

_SPLITS = ("train", "val", "test")
"""The splits in the order in which they count."""


_OF_SPLIT = re.compile(r"(^|[\W_])(train|val|valid|test|split)", re.IGNORECASE)
"""A word in the name of a list of pictures by split, such as ``train_test_split.txt``."""

_OF_LABELS = ("Annotations", "ImageSets")
"""Folders that ILSVRC has beside that of its pictures."""


@dataclass(frozen=True)
class ClassFolders:
    """The folders of each class by split, and what is said of the data set."""

    roots: Mapping[str, Path]
    """The folder that names of pictures are relative to, by split."""
    classes: Mapping[str, Mapping[str, Path]]
    """The folder of each class, by split and by class."""
    layout: str
    notes: tuple[str, ...] = ()
    listed: Mapping[str, Mapping[Path, str]] = field(default_factory=dict)
    """The class of each picture of a split that has no class folders but a list."""
    passed: Counter[str] = field(default_factory=Counter)


def class_folders(root: Path, *, whole: bool = False) -> ClassFolders:
    """The classes and splits of the folder `root`. Raises `DataError` if they are in doubt.

    With `whole`, one split alone, whichever it is, is all of the data.
    """
    inner = _unpacked(root)
    notes: tuple[str, ...] = () if inner == root else (f"in its only folder, {inner.relative_to(root)}",)
    top = folders(inner)
    passed = Counter(_loose(inner, "pictures beside the folders"))
    if not top:
        there = any(not is_leftover(entry.name) for entry in inner.iterdir())
        what = f"{root} holds {'pictures and ' if passed else ''}no folders" if there else f"{root} is empty"
        raise DataError(f"{what}: expected folders of images, one per class")
    words = {path: split_of(path.name) for path in top}
    named = [path for path in top if words[path]]
    within = _within_classes(inner, top) if not named else None
    if within is not None:
        return ClassFolders(
            dict.fromkeys(within, inner),
            within,
            "class folders with a folder per split",
            notes,
            passed=passed,
        )
    if whole and len(top) == 1 and named and folders(top[0]):
        said = (*notes, f"{top[0].name} alone")
        return ClassFolders(
            {"train": top[0]}, {"train": _named(folders(top[0]))}, "class folders", said, passed=passed
        )
    if named and _are_splits(named, top):
        return _by_split(root, inner, words, notes, passed)
    notes += _unread_lists(root, inner)
    return ClassFolders({"train": inner}, {"train": _named(top)}, "class folders", notes, passed=passed)


def _unpacked(root: Path) -> Path:
    """The folder that an archive was unpacked into: that of several folders, if each above holds only one."""
    inner = root
    for _ in range(3):
        inside = [path for path in folders(inner) if path.name not in _OF_LABELS]
        if len(inside) != 1 or _loose(inner, "") or split_of(inside[0].name):
            return inner
        if len(folders(inside[0])) < 1:
            return inner
        inner = inside[0]
    return inner


def _are_splits(named: Sequence[Path], top: Sequence[Path]) -> bool:
    """Whether folders that are called like splits are some."""
    if len(named) == len(top):
        return True
    return any(split_of(path.name) == "train" and folders(path) for path in named)


def _by_split(
    root: Path, inner: Path, words: Mapping[Path, str | None], notes: tuple[str, ...], passed: Counter[str]
) -> ClassFolders:
    roots: dict[str, Path] = {}
    for path, split in words.items():
        if split is None:
            if listing(path, SUFFIXES).files:
                raise DataError(f"unknown split folder {path}: {closest(path.name, _SPLITS)}")
            passed[f"folders without pictures ({path.name})"] += 1
        else:
            check_alone(split, path, roots)
            roots[split] = path
    if "train" not in roots:
        there = ", ".join(path.name for path in roots.values())
        raise DataError(f"{root} has {there} and nothing to train on: expected a folder called train")
    listed, said_of_lists = _listed(root, roots, passed)
    spelt = [path.name for split, path in roots.items() if path.name != split]
    said = (f"{', '.join(spelt)} taken for {', '.join(s for s in roots if roots[s].name != s)}",)
    return ClassFolders(
        {split: roots[split] for split in _SPLITS if split in roots},
        {split: _named(folders(roots[split])) for split in _SPLITS if split in roots},
        "class folders by split",
        notes + (said if spelt else ()) + said_of_lists,
        listed,
        passed,
    )


def _listed(
    root: Path, roots: dict[str, Path], passed: Counter[str]
) -> tuple[dict[str, dict[Path, str]], tuple[str, ...]]:
    """The classes of splits without class folders, by their lists, and what is said of those.

    A test split without a list leaves `roots`, since its classes may be secret; of others that is an error.
    Raises `DataError`.
    """
    found: dict[str, dict[Path, str]] = {}
    said = []
    classes = [path.name for path in folders(roots["train"])]
    for split, path in list(roots.items()):
        loose = _loose(path, f"pictures in {path.name} that are in no class folder")
        if folders(path):
            passed.update(loose)
            continue
        by_list = listed_classes(path, (path, path.parent, root), classes) if classes else None
        if by_list is not None:
            file, found[split] = by_list
            said.append(f"classes of {path.name} by {file.name}")
        elif split == "test" and loose:
            passed.update(loose)
            del roots[split]
        else:
            remedy = f"expected {path.name}/CLASS/*.jpg, or a list beside it, NAME CLASS in each line"
            raise DataError(f"{path} is a split without class folders: {remedy}")
    return found, tuple(said)


def _within_classes(inner: Path, top: Sequence[Path]) -> dict[str, dict[str, Path]] | None:
    """The splits inside of the class folders, None unless each has only such."""
    found: dict[str, dict[str, Path]] = {}
    for path in top:
        inside = folders(path)
        splits = [split_of(part.name) for part in inside]
        if "train" not in splits or None in splits or len(set(splits)) < len(splits) or _loose(path, ""):
            return None
        for split, part in zip(splits, inside, strict=True):
            found.setdefault(str(split), {})[path.name] = part
    if len(top) < 2:
        return None
    return {split: found[split] for split in _SPLITS if split in found}


def _unread_lists(*places: Path) -> tuple[str, ...]:
    """A note about lists beside the class folders that may say which pictures are for which split."""
    files = [file for place in dict.fromkeys(places) for file in sorted(place.iterdir())]
    lists = [
        file.name for file in files if file.suffix.lower() in (".txt", ".csv") and _OF_SPLIT.search(file.stem)
    ]
    return (f"the splits in {', '.join(lists[:3])} are not read",) if lists else ()


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    return {path.name: path for path in paths}


def _loose(path: Path, reason: str) -> dict[str, int]:
    """How many pictures are directly in a folder, by a reason."""
    count = len(listing(path, SUFFIXES, deep=False).files)
    return {reason: count} if count else {}
