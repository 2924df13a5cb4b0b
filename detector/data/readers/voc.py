"""Reads Pascal VOC folders, one XML file per image, into COCO's records.

    DIR/Annotations/**/*.xml, DIR/JPEGImages (or images), DIR/ImageSets/Main/train.txt, val.txt and test.txt
    DIR/train/*.xml and DIR/val/*.xml (or valid), each with its images
    DIR/Annotations/**/*.xml or DIR/*.xml   a fifth is set aside for validation

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
from detector.data.readers.voc_parts import xml_by_part
from detector.data.records import Annotation, Category, ImageRecord, Subset
from nars.data.pictures import SUFFIXES
from nars.errors import DataError
from nars.foreign.files import Finder, folders, listing
from nars.foreign.limits import MOST_COORDINATE
from nars.foreign.names import parts_of, split_of
from nars.foreign.numbers import real
from nars.foreign.paths import read_bytes
from nars.foreign.text import xml_text

__all__ = ["read"]


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


def read(folder: Path, report: FindingHandler = refuse) -> dict[str, Subset] | None:
    """Read the parts of a VOC folder; None if the folder has no VOC layout.

    Unusable XML goes to `report`, which by default raises `DataError`.
    """
    parts = xml_by_part(folder, report)
    if parts is None:
        return None
    pictures = _Pictures(folder)
    pages = {name: list(_pages(name, files, pictures, report)) for name, files in parts.items()}
    names = sorted({box.name for part in pages.values() for page in part for box in page.boxes})
    ids = {name: number for number, name in enumerate(names, start=1)}
    return {name: _subset(name, folder, part, ids) for name, part in pages.items()}


class _Pictures:
    """Finds the picture of an XML file: that of its own name, else the one that it names (often wrongly)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._finder = Finder(folder, SUFFIXES)
        self._files = self._by_name()

    def _by_name(self) -> dict[str, Path]:
        """Map image names, with and without suffix, to their files relative to the folder."""
        parts = [self.folder, *(part for part in folders(self.folder) if split_of(part.name))]
        files: dict[str, Path] = {}
        for parent in [part / name for part in parts for name in ("", "JPEGImages", "images", "Images")]:
            for path in listing(parent, SUFFIXES, deep=False).files if parent.is_dir() else ():
                relative = path.relative_to(self.folder)
                files.setdefault(f"{_part(relative)}{path.stem}", relative)
                files.setdefault(f"{_part(relative)}{path.name}", relative)
        return files

    def of(self, path: Path, name: str) -> Path:
        """The picture of the XML file `path` that calls it `name`, relative to the folder."""
        relative = path.relative_to(self.folder)
        part, named = _part(relative), (parts_of(name) or (path.stem,))[-1]
        below = tuple(word for word in relative.with_suffix("").parts if word.lower() != "annotations")
        if len(below) > (2 if part else 1):  # in folders of their own, which may repeat names
            found = self._finder.find("/".join(below)) or self._finder.find(name)
            if found is not None:
                return found
        names = (named, path.stem) if Path(named).stem == path.stem else (path.stem, named)
        file = self._files.get(f"{part}{names[0]}") or self._files.get(f"{part}{names[1]}")
        file = file or self._finder.find(name) or self._finder.find("/".join(below))
        if file is None or (part and _part(file) not in ("", part)):
            return Path(part + named)
        return file


def _part(relative: Path) -> str:
    """Return the part that a file belongs to, because train/ and val/ may have equal file names."""
    first = relative.parts[0]
    return f"{first}/" if len(relative.parts) > 1 and split_of(first) else ""


def _pages(split: str, files: Iterable[Path], pictures: _Pictures, report: FindingHandler) -> Iterator[_Page]:
    for number, path in enumerate(files, start=1):
        try:
            text = xml_text(read_bytes(path), path)
            root = ElementTree.fromstring(text, ElementTree.XMLParser(target=_NoDoctype()))
            if root.tag == "annotations":
                raise ValueError("it is CVAT's own XML of all images; export as Pascal VOC, COCO or YOLO")
            image = _image(root, number, path, pictures)
        except OSError as error:
            report(
                Finding("record-malformed", split, str(path), f"cannot be read: {error.strerror or error}")
            )
            continue
        except (DataError, ElementTree.ParseError, LookupError) as error:
            report(Finding("record-malformed", split, str(path), f"is not XML, perhaps cut off: {error}"))
            continue
        except ValueError as error:
            report(Finding("record-malformed", split, str(path), str(error)))
            continue
        yield _Page(image, _objects(root, split, path, report))


def _image(root: ElementTree.Element, number: int, path: Path, pictures: _Pictures) -> ImageRecord:
    """The image of an XML file, with the size that it states or, without one, that of the picture."""
    file = pictures.of(path, root.findtext("filename") or path.stem)
    width, height = (_side(root.find("size"), tag) for tag in ("width", "height"))
    if width <= 0 or height <= 0:
        width, height = images.shown_size(pictures.folder / file)
    return ImageRecord(number, file.as_posix(), width, height)


def _side(size: ElementTree.Element | None, tag: str) -> int:
    """Pixels of a side, 0 if none are stated. Raises `ValueError`."""
    number = _number(size, tag, f"size/{tag}", 0)
    if not abs(number) <= MOST_COORDINATE:  # NaN included
        raise ValueError(f"size/{tag} is {number:g}, not a number of pixels")
    return int(number)


def _objects(root: ElementTree.Element, split: str, path: Path, report: FindingHandler) -> list[_NamedBox]:
    boxes = []
    for position, element in enumerate(root.findall("object")):
        try:
            name = (element.findtext("name") or "").strip()
            if not name:
                raise ValueError("no name")
            corners = element.find("bndbox")
            left, top, right, bottom = (
                _number(corners, side, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")
            )
        except ValueError as error:
            report(Finding("record-malformed", split, str(path), f"object {position}: {error}"))
            continue
        difficult = (element.findtext("difficult") or "0").strip() == "1"
        boxes.append(_NamedBox(name, (left - 1, top - 1, right - left + 1, bottom - top + 1), difficult))
    return boxes


def _number(parent: ElementTree.Element | None, tag: str, path: str, default: float | None = None) -> float:
    """The number in a child of `parent`; messages name it by its `path`. Raises `ValueError`."""
    text = ((None if parent is None else parent.findtext(tag)) or "").strip()
    if text:
        return real(text, path)
    if default is None:
        raise ValueError(f"no {path}")
    return default


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
        layout="Pascal VOC",
    )
