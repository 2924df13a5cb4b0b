"""Pascal VOC folders, one XML file for an image, read into COCO's records.

    DIR/Annotations/*.xml, DIR/JPEGImages (or images), DIR/ImageSets/Main/train.txt and val.txt
    DIR/train/*.xml and DIR/val/*.xml (or valid), each with its images
    DIR/Annotations/*.xml or DIR/*.xml      a fifth is set aside for validation

Boxes become 0-based: VOC counts pixels from 1 and includes the last one. An object marked
``difficult`` becomes a crowd, which is VOC's meaning of it: not trained on, ignored in
evaluation. Categories are the names found, in alphabetical order.
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


class _Object(NamedTuple):
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


class _Page(NamedTuple):
    """One XML file: the image it is about and the objects in it."""

    image: ImageRecord
    objects: list[_Object]


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, the one place where XML can define entities that explode."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise ValueError(f"has a document type ({name}), which an annotation does not need")


def read(folder: Path, report: FindingHandler = refuse) -> CocoData | None:
    """The data set of a VOC folder, or None where there is no VOC layout.

    XML that cannot be used goes to `report`, which by default raises `DataError`.
    """
    parts = _listed(folder, report) or _in_folders(folder)
    if parts is None:
        return None
    pictures = _pictures(folder)
    pages = {name: list(_pages(name, files, folder, pictures, report)) for name, files in parts.items()}
    names = sorted({one.name for part in pages.values() for page in part for one in page.objects})
    ids = {name: number for number, name in enumerate(names, start=1)}
    splits = {name: _split(name, folder, part, ids) for name, part in pages.items()}
    if "val" not in splits:
        return divide(splits["train"])
    return CocoData(splits.get("train", Subset("train", folder, folder)), splits["val"])


def _listed(folder: Path, report: FindingHandler) -> dict[str, list[Path]] | None:
    """XML files by ``ImageSets/Main``; VOC 2007 also has trainval and test."""
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
    places = (folder, folder / "Annotations", folder / "annotations")
    return next((files for place in places if (files := sorted(place.glob("*.xml")))), [])


def _pictures(folder: Path) -> dict[str, Path]:
    """Image files by their name, with and without ending, relative to `folder`."""
    parts = [folder / word for word in ("", "train", *_VALIDATION)]
    found: dict[str, Path] = {}
    for place in [part / name for part in parts for name in ("", "JPEGImages", "images", "Images")]:
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.suffix.lower() in SUFFIXES:
                relative = path.relative_to(folder)
                found.setdefault(f"{_part(relative)}{path.stem}", relative)
                found.setdefault(f"{_part(relative)}{path.name}", relative)
    return found


def _part(relative: Path) -> str:
    """Of which part a file is: in train/ and val/ files may have the same names."""
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
    """The image with the XML's own name, else the one that the XML names (often wrongly)."""
    named = Path(root.findtext("filename") or path.stem).name
    part = _part(path.relative_to(folder))
    file = pictures.get(f"{part}{path.stem}") or pictures.get(f"{part}{named}") or Path(part + named)
    width, height = (int(_number(root, f"size/{side}", 0)) for side in ("width", "height"))
    if width <= 0 or height <= 0:
        width, height = images.shown_size(folder / file)
    return ImageRecord(number, file.as_posix(), width, height)


def _objects(root: ElementTree.Element, split: str, path: Path, report: FindingHandler) -> list[_Object]:
    objects = []
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
        objects.append(_Object(name, (left - 1, top - 1, right - left + 1, bottom - top + 1), difficult))
    return objects


def _number(element: ElementTree.Element, path: str, default: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and default is None:
        raise ValueError(f"no {path}")
    try:
        return float(text or 0)
    except ValueError:
        raise ValueError(f"{path} is not a number: {text!r}") from None


def _split(name: str, folder: Path, pages: list[_Page], ids: dict[str, int]) -> Subset:
    annotations = ((page.image.id, one, (ids[one.name], one.box)) for page in pages for one in page.objects)
    return Subset(
        name=name,
        source=folder,
        root=folder,
        images=tuple(page.image for page in pages),
        annotations=tuple(
            Annotation(number, image_id, category, box, box[2] * box[3], one.difficult)
            for number, (image_id, one, (category, box)) in enumerate(annotations, start=1)
        ),
        categories=tuple(Category(id, name) for name, id in ids.items()),
    )
