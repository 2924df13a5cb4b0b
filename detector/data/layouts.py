"""Loads a detection data set from its folder; Pascal VOC, YOLO and tables are converted to COCO's records.

COCO's annotation files are searched for at the paths below; images next to them, in
``images/``, ``images/train/`` or ``train/``, and else by name anywhere in the folder. The parts may be
called in any of the usual ways (`nars.foreign.names`), and the names may end in a year (``val2017``).

    DIR/train/annotations.json          also _annotations.coco.json, instances.json, or the only JSON there
    DIR/instances_train.json
    DIR/annotations/instances_train.json
    DIR/annotations.json                one file for all: also result.json, labels.json,
                                        instances_default.json, or the only JSON with images and annotations

If there is no validation part, a fifth of the training images is set aside for it. A test part is left
alone: ``nars detect evaluate --data DIR/test`` measures on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from detector.data import scenes
from detector.data.findings import Finding, FindingHandler, refuse
from detector.data.readers import box_tables, unsupported, voc, yolo
from detector.data.readers.coco import is_coco, read_subset
from detector.data.readers.own_ids import OwnIds
from detector.data.records import CocoData, Subset, divide
from nars.errors import DataError
from nars.foreign.files import folders
from nars.foreign.names import check_alone, is_leftover, split_of

__all__ = ["load"]

_STANDARD_FILES = (
    *("annotations.json", "_annotations.coco.json", "instances.json", "instances_default.json"),
    *("result.json", "labels.json", "coco.json"),
)
"""Names of annotation files that do not name their split."""

_KIND = re.compile(
    r"^(instances|person_keypoints|lvis_v\d(\.\d)?|annotations?|labels?|coco)_"
    r"|[_-](annotations?|labels?|instances|coco)$"
)
"""Beginnings and ends of the name of an annotation file, around that of its split."""

_DEEPEST = 2
"""Folders alone in a folder that are entered: VOCdevkit/VOC2012."""

_FOLDERS = ("", "annotations", "Annotations", "labels")
"""Folders of a data set that annotation files may be in."""


def load(source: str | Path, report: FindingHandler = refuse, *, whole: str | None = None) -> CocoData:
    """Load the data set in a folder, or the embedded ``digit-scenes``.

    A folder may have a validation part only. With `whole`, one without parts is left in one piece, as the
    split of that name, since it is only measured; ``test`` puts the part test, which is left alone
    otherwise, in the place of val. The records are as in the files;
    `detector.data.check.usable` makes sure that they can be trained on. Entries that cannot be
    parsed go to `report`, which by default raises `DataError`. Also raises `DataError` for a
    folder without a data set.
    """
    folder = Path(source)
    if source == scenes.NAME and not folder.is_dir():
        return _arranged({subset.name: subset for subset in scenes.make().subsets}, folder, whole)
    if folder.is_file():
        home = folder.parent.parent if folder.parent.name in _FOLDERS else folder.parent
        raise DataError(f"{folder}: is a file; give its folder, {home}")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder (give a folder, or {scenes.NAME})")
    held: list[Finding] = []
    for place in _unpacked(folder):
        readers = (_coco, yolo.read, voc.read, box_tables.read)
        read = next((found for reader in readers if (found := reader(place, held.append))), None)
        if read is not None:
            break
    if read is None or not any(subset.annotations for subset in read.values()):
        other = unsupported.named(folder)
        if other is not None:
            raise DataError(f"{folder}: {other}")
    for finding in held:
        report(finding)
    if read is None:
        raise DataError(_not_found(folder))
    return _arranged(read, folder, whole)


def _arranged(parts: dict[str, Subset], folder: Path, whole: str | None) -> CocoData:
    """Training and validation: the parts that are there, or a division of the only one."""
    train, val, test = (parts.get(name) for name in ("train", "val", "test"))
    empty = Subset("", folder, folder)
    if whole == "test":
        if test is None:
            raise DataError(f"{folder}: no part test; its parts are {', '.join(parts)}")
        measured = replace(test, name="val", notes=(*test.notes, "the part test of the data"))
        return CocoData(train or replace(empty, name="train"), measured)
    if train is not None and val is None:
        if whole is None or test is not None:
            data = divide(train)
        else:
            said = "not divided, since it is only measured"
            only = replace(train, name=whole, notes=(*train.notes, said))
            other = replace(empty, name="val" if whole == "train" else "train", categories=train.categories)
            data = CocoData(*((only, other) if whole == "train" else (other, only)))
    elif train is None and val is None and test is not None:
        data = CocoData(replace(empty, name="train"), replace(test, name="val"))
        test = None
    else:
        data = CocoData(train or replace(empty, name="train"), val or replace(empty, name="val"))
    return data if test is None else replace(data, test=test)


def _not_found(folder: Path) -> str:
    """Say what was looked for, and what is there."""
    entries = sorted(entry for entry in folder.iterdir() if not is_leftover(entry.name))
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    there = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    sets = [str(place) for place in _inside(folder)]
    if sets:
        some = ", ".join(sets[:6])
        return f"{folder}: no data set of boxes found, but {len(sets)} inside: give one of {some}"
    classes = names and all(entry.is_dir() for entry in entries)
    other = f"; folders of classes are described by `nars data --data {folder}`" if classes else ""
    return (
        f"{folder}: no data set of boxes found; looked for COCO (train/*.json, instances_train.json, "
        "annotations/instances_train.json), YOLO (data.yaml, classes.txt or obj.data), Pascal VOC (*.xml) "
        f"and tables of boxes (*.csv); there {'are' if len(names) > 1 else 'is'} {there or 'nothing'}{other}"
    )


def _inside(folder: Path) -> Iterator[Path]:
    """Folders in a folder, two deep, that look like data sets of their own, as VOC2007 in VOCdevkit."""
    places = folders(folder)
    for place in [*places, *(inner for each in places for inner in folders(each))]:
        entries = {entry.name.lower() for entry in place.iterdir()}
        if entries & {"annotations", "labels", "data.yaml", "_annotations.coco.json"}:
            yield place


def _unpacked(folder: Path) -> Iterator[Path]:
    """The folder, and those inside that are alone in it, as unpacking an archive leaves them."""
    yield folder
    for _ in range(_DEEPEST):
        inside = folders(folder)
        if len(inside) != 1:
            return
        folder = inside[0]
        yield folder


def _coco(folder: Path, report: FindingHandler) -> dict[str, Subset] | None:
    files = _annotation_files(folder)
    if files:
        categories: OwnIds = {}
        return {
            name: read_subset(name, path, list(_roots(folder, path, word)), report, folder, categories)
            for name, (path, word) in files.items()
        }
    path = _for_all(folder)
    if path is None:
        return None
    return {"train": read_subset("train", path, list(_roots(folder, path, "")), report, within=folder)}


def _for_all(folder: Path) -> Path | None:
    """The annotation file of a folder that does not name its split. Raises `DataError` for several."""
    parents = [folder / name for name in _FOLDERS]
    for parent in parents:
        for name in _STANDARD_FILES:
            if (parent / name).is_file():
                return parent / name
    for parent in parents:
        files = [path for path in _json(parent) if is_coco(path)]
        if files:
            return _only(parent, files)
    return None


def _json(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() == ".json" and not is_leftover(path.name)
    )


def _annotation_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """The annotation file of each split, and the word that names its folders."""
    found: dict[str, tuple[Path, str]] = {}
    for parent in (folder / name for name in _FOLDERS):
        named: dict[str, list[Path]] = {}
        for path in _json(parent):
            word = _KIND.sub("", path.stem)
            split = split_of(word)
            if split is not None and not path.stem.startswith(("captions", "stuff", "panoptic")):
                named.setdefault(split, []).append(path)
        for split, paths in named.items():
            exact = [path for path in paths if path.stem.startswith("instances_")] or paths
            path = _only(parent, exact)
            found.setdefault(split, (path, _KIND.sub("", path.stem)))
    parts: dict[str, Path] = {}
    for part in folders(folder):
        split = split_of(part.name)
        if split is None or (split in found and split not in parts):
            continue
        for place in (part, part / "annotations"):  # Supervisely has a folder of each
            files = [place / name for name in _STANDARD_FILES if (place / name).is_file()]
            paths = files[:1] or _json(place)
            if paths:
                check_alone(split, part, parts)
                parts[split] = part
                found[split] = (_only(place, paths), part.name)
                break
    return found


def _only(folder: Path, paths: Sequence[Path]) -> Path:
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths[:4])
        raise DataError(
            f"{folder}: several annotation files ({names}); keep one, or name it annotations.json"
        )
    return paths[0]


def _roots(folder: Path, path: Path, word: str) -> Iterator[Path]:
    yield from (path.parent, path.parent / "images") if path.parent.name != "annotations" else ()
    yield from (folder / "images" / word, folder / "images", folder / word / "images", folder / word, folder)
