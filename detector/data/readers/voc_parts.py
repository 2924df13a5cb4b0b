"""Finds the XML files of each part of a Pascal VOC folder, by the lists in ``ImageSets`` or by folders."""

from __future__ import annotations

import re
from pathlib import Path

from detector.data.findings import Finding, FindingHandler
from nars.data.pictures import SUFFIXES
from nars.foreign.files import Finder, folders, listing
from nars.foreign.names import check_alone, parts_of, split_of
from nars.foreign.paths import is_file
from nars.foreign.text import read_lines

__all__ = ["xml_by_part"]

_MARK = re.compile(r"\s+-?[01]$")
"""Behind the name in a list of a class: whether the image shows the class."""


def xml_by_part(folder: Path, report: FindingHandler) -> dict[str, list[Path]] | None:
    """Return the XML files of each part; None if there are none. Lists that name others go to `report`."""
    return _listed(folder, report) or _in_folders(folder)


def _listed(folder: Path, report: FindingHandler) -> dict[str, list[Path]] | None:
    """The XML files that lists in ``ImageSets`` name for each part; None if there is no list for training.

    With trainval and test alone, as in VOC 2007, test is for validation. A test part beside a train part
    is neither trained on nor divided.
    """
    lists = _lists(folder)
    pairs = (("train", "val"), ("trainval", "test"))
    pair = next((pair for pair in pairs if all(word in lists for word in pair)), None)
    if pair is not None:
        words = dict(zip(("train", "val"), pair, strict=True))
        words |= {"test": "test"} if pair == pairs[0] and "test" in lists else {}
    else:
        words = {split: split for split in ("train", "val", "test") if split in lists}
        words |= next(({"train": word} for word in ("train", "trainval", "default") if word in lists), {})
        words = {split: words[split] for split in ("train", "val", "test") if split in words}
    if not words:
        return None
    annotations = _annotations(folder)
    finder = Finder(annotations, {".xml"})
    parts: dict[str, list[Path]] = {}
    for name, word in words.items():
        parts[name] = []
        for source, line in ((file, line) for file in lists[word] for line in read_lines(file)):
            path = _named_xml(line, annotations, finder)
            if not is_file(path):
                said = f"no such file, but {source.name} lists it"
                report(Finding("record-malformed", name, str(path), said))
            elif len(lists[word]) == 1 or path not in parts[name]:
                parts[name].append(path)
    return parts


def _lists(folder: Path) -> dict[str, list[Path]]:
    """The list of each part in a folder; those of single classes if there are no others, as VoTT writes."""
    above = folder / "ImageSets"
    lists: dict[str, list[Path]] = {}
    of_classes: dict[str, list[Path]] = {}
    for inner in (above / "Main", above, *(folders(above) if above.is_dir() else ())):
        for path in sorted(inner.glob("*.txt")) if inner.is_dir() else ():
            word = path.stem.lower()
            split = word if word in ("trainval", "default") else split_of(word)
            if split is not None:
                lists.setdefault(split, [path])
            part = _part_of_class(word)
            if part is not None:
                of_classes.setdefault(part, []).append(path)
        if lists or of_classes:
            break
    return lists or of_classes


def _part_of_class(word: str) -> str | None:
    """The part of a list of one class: ``train`` of ``cat_train``."""
    name, _, part = word.rpartition("_")
    return (part if part == "trainval" else split_of(part)) if name else None


def _named_xml(line: str, annotations: Path, finder: Finder) -> Path:
    """The XML file that a line names: the whole line, or without a mark of presence or a suffix."""
    bare = _MARK.sub("", line)
    for name in dict.fromkeys((line, bare)):
        path = annotations / f"{name}.xml"
        if is_file(path) and ".." not in path.parts and not Path(name).is_absolute():
            return path
    parts = parts_of(bare) or ("",)
    stem = Path(*parts).with_suffix("") if Path(parts[-1]).suffix.lower() in SUFFIXES else Path(*parts)
    found = finder.find(f"{stem.as_posix()}.xml")
    return annotations / (f"{bare}.xml" if found is None else found)


def _annotations(folder: Path) -> Path:
    return next((part for part in folders(folder) if part.name.lower() == "annotations"), folder)


def _in_folders(folder: Path) -> dict[str, list[Path]] | None:
    parts: dict[str, list[Path]] = {}
    places: dict[str, Path] = {}
    for part in folders(folder):
        split = split_of(part.name)
        files = _xml(part) if split else []
        if split and files:
            check_alone(split, part, places)
            places[split], parts[split] = part, files
    if parts:
        return {name: parts[name] for name in ("train", "val", "test") if name in parts}
    files = _xml(folder)
    return {"train": files} if files else None


def _xml(folder: Path) -> list[Path]:
    """XML files of annotations in a folder, or below its folder of annotations."""
    annotations = _annotations(folder)
    return listing(annotations, {".xml"}, deep=annotations != folder).files
