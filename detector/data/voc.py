"""Reads Pascal VOC folders, one XML file per image, into COCO's records.

    DIR/Annotations/*.xml, DIR/JPEGImages (or images), DIR/ImageSets/Main/train.txt and val.txt
    DIR/train/*.xml and DIR/val/*.xml (or valid), each with its images
    DIR/Annotations/*.xml or DIR/*.xml      a fifth is set aside for validation

Boxes become 0-based, because VOC counts pixels from 1 and includes the last one. An object
marked ``difficult`` becomes a crowd, which has the same meaning: not trained on, ignored in
evaluation. The categories are the names in the files, in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn
from xml.etree import ElementTree

from detector.data import images
from detector.data.findings import Finding, FindingHandler, refuse
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Subset, divide
from nars.data.pictures import SUFFIXES

__all__ = ["read"]

_VALIDATION = ("val", "valid", "validation")
"""Names of a folder with the validation part."""


class _NamedBox(NamedTuple):
    """An object of an XML file; `box` is left, top, width, height in pixels from 0."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool


class _Page(NamedTuple):
    """The content of one XML file: an image and the objects in it."""

    image: ImageRecord
    boxes: list[_NamedBox]


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, which could define entities that expand without limit."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise ValueError(f"has a document type ({name}), which an annotation does not need")


def read(folder: Path, report: FindingHandler = refuse) -> CocoData | None:
    """Read the data set of a VOC folder; None if the folder has no VOC layout.

    Unusable XML goes to `report`, which by default raises `DataError`.
    """
    parts = _listed(folder, report) or _in_folders(folder)
    if parts is None:
        return None
    pictures = _pictures(folder)
    pages = {name: list(_pages(name, files, folder, pictures, report)) for name, files in parts.items()}
    names = sorted({box.name for part in pages.values() for page in part for box in page.boxes})
    ids = {name: number for number, name in enumerate(names, start=1)}
    subsets = {name: _subset(name, folder, part, ids) for name, part in pages.items()}
    if "val" not in subsets:
        return divide(subsets["train"])
    return CocoData(subsets.get("train", Subset("train", folder, folder)), subsets["val"])


def _listed(folder: Path, report: FindingHandler) -> dict[str, list[Path]] | None:
    """List XML files by ``ImageSets/Main``; VOC 2007 also has trainval and test."""
    lists = folder / "ImageSets" / "Main"
    pair = next(
        (
            pair
            for pair in (("train", "val"), ("trainval", "test"))
            if all(_list(lists, word).is_file() for word in pair)
        ),
        None,
    )
    if pair is None:
        return None
    parts: dict[str, list[Path]] = {}
    for name, word in zip(("train", "val"), pair, strict=True):
        parts[name] = []
        for line in _list(lists, word).read_text(encoding="utf-8").splitlines():
            fields = line.split()
            path = folder / "Annotations" / f"{fields[0]}.xml" if fields else None
            if path is not None and path.is_file():
                parts[name].append(path)
            elif path is not None:
                report(Finding("record-malformed", name, str(path), f"no such file, but {word}.txt lists it"))
    return parts


def _list(lists: Path, word: str) -> Path:
    return lists / f"{word}.txt"


def _in_folders(folder: Path) -> dict[str, list[Path]] | None:
    train = _xml(folder / "train")
    val = next((files for word in _VALIDATION if (files := _xml(folder / word))), [])
    if train or val:
        return {name: files for name, files in (("train", train), ("val", val)) if files}
    files = _xml(folder)
    return {"train": files} if files else None


def _xml(folder: Path) -> list[Path]:
    folders = (folder, folder / "Annotations", folder / "annotations")
    return next((files for parent in folders if (files := sorted(parent.glob("*.xml")))), [])


def _pictures(folder: Path) -> dict[str, Path]:
    """Map image names, with and without suffix, to their files relative to `folder`."""
    parts = [folder / word for word in ("", "train", *_VALIDATION)]
    files: dict[str, Path] = {}
    for parent in [part / name for part in parts for name in ("", "JPEGImages", "images", "Images")]:
        for path in sorted(parent.iterdir()) if parent.is_dir() else ():
            if path.suffix.lower() in SUFFIXES:
                relative = path.relative_to(folder)
                files.setdefault(f"{_part(relative)}{path.stem}", relative)
                files.setdefault(f"{_part(relative)}{path.name}", relative)
    return files


def _part(relative: Path) -> str:
    """Return the part that a file belongs to, because train/ and val/ may have equal file names."""
    first = relative.parts[0]
    return f"{first}/" if len(relative.parts) > 1 and first in ("train", *_VALIDATION) else ""


def _pages(
    split: str, files: Iterable[Path], folder: Path, pictures: dict[str, Path], report: FindingHandler
) -> Iterator[_Page]:
    for number, path in enumerate(files, start=1):
        try:
            root = ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_NoDoctype()))
        except OSError as error:
            report(
                Finding("record-malformed", split, str(path), f"cannot be read: {error.strerror or error}")
            )
            continue
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            report(Finding("record-malformed", split, str(path), f"is not XML, perhaps cut off: {error}"))
            continue
        yield _Page(_image(root, number, path, folder, pictures), _objects(root, split, path, report))


def _image(
    root: ElementTree.Element, number: int, path: Path, folder: Path, pictures: dict[str, Path]
) -> ImageRecord:
    """Find the image with the XML file's own name, else the one that the XML names (often wrongly)."""
    named = Path(root.findtext("filename") or path.stem).name
    part = _part(path.relative_to(folder))
    file = pictures.get(f"{part}{path.stem}") or pictures.get(f"{part}{named}") or Path(part + named)
    width, height = (int(_number(root, f"size/{side}", 0)) for side in ("width", "height"))
    if width <= 0 or height <= 0:
        width, height = images.shown_size(folder / file)
    return ImageRecord(number, file.as_posix(), width, height)


def _objects(root: ElementTree.Element, split: str, path: Path, report: FindingHandler) -> list[_NamedBox]:
    boxes = []
    for position, element in enumerate(root.findall("object")):
        try:
            name = (element.findtext("name") or "").strip()
            if not name:
                raise ValueError("no name")
            left, top, right, bottom = (
                _number(element, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")
            )
        except ValueError as error:
            report(Finding("record-malformed", split, str(path), f"object {position}: {error}"))
            continue
        difficult = (element.findtext("difficult") or "0").strip() == "1"
        boxes.append(_NamedBox(name, (left - 1, top - 1, right - left + 1, bottom - top + 1), difficult))
    return boxes


def _number(element: ElementTree.Element, path: str, default: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and default is None:
        raise ValueError(f"no {path}")
    try:
        return float(text or 0)
    except ValueError:
        raise ValueError(f"{path} is not a number: {text!r}") from None


def _subset(name: str, folder: Path, pages: list[_Page], ids: dict[str, int]) -> Subset:
    boxes = [(page.image.id, box) for page in pages for box in page.boxes]
    return Subset(
        name=name,
        source=folder,
        root=folder,
        images=tuple(page.image for page in pages),
        annotations=tuple(
            Annotation(number, image_id, ids[label], box, box[2] * box[3], difficult)
            for number, (image_id, (label, box, difficult)) in enumerate(boxes, start=1)
        ),
        categories=tuple(Category(id, name) for name, id in ids.items()),
    )
