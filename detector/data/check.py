"""Examine a detection data set before it is trained on, refuse it, mend it.

    findings = check("DIR")             what is wrong, each with file and id
    changes = fix("DIR", "OUT")         a mended copy in COCO's format
    data = usable("DIR")                what a training takes; raises where there are errors

The rules, and what mends each, stand in `detector.data.findings.RULES`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from pathlib import Path

from detector.data import images, masks
from detector.data.coco import write
from detector.data.findings import Finding, summary
from detector.data.layouts import load
from detector.data.mend import mend
from detector.data.records import Annotation, CocoData, ImageRecord, Subset
from nars.data.pictures import READERS
from nars.errors import DataError

__all__ = ["check", "examine", "fix", "usable"]

log = logging.getLogger(__name__)

_SPLITS = ("train", "val")

_OVERHANG = 1.0
"""Pixels by which a box may reach over the border: rounding, in many tools."""


def check(source: str | Path, decode: bool = True) -> list[Finding]:
    """Everything found in a data set; with `decode` every image is decoded to its end.

    Without it images are only opened: damage further in, and copies under other names, go
    unseen, in a hundredth of the time. Raises `DataError` where there is no data set at all.
    """
    return _read(source, decode)[1]


def examine(data: CocoData, decode: bool = True) -> list[Finding]:
    """As `check`, for data that has been read."""
    findings = [finding for split in data.splits if split.images for finding in _split_findings(split)]
    probes = {split.name: _probe_all(split, decode) for split in data.splits}
    for split in data.splits:
        findings += _image_findings(split, probes[split.name])
    findings += _category_findings(data)
    findings += _shared_findings(data, probes)
    return findings


def usable(
    source: str | Path | CocoData,
    drop_bad: bool = False,
    decode: bool = True,
    needs: Sequence[str] = _SPLITS,
) -> CocoData:
    """Data without errors in the splits that it `needs`.

    Raises `DataError` that counts the errors and names the first, unless `drop_bad` leaves
    out what is bad; what cannot be left out is refused in either case.
    """
    data, findings = (
        (source, examine(source, decode)) if isinstance(source, CocoData) else _read(source, decode)
    )
    findings = [finding for finding in findings if finding.split in needs]
    errors = [finding for finding in findings if finding.severity == "error"]
    fatal = [finding for finding in errors if finding.remedy == "refuse"]
    if fatal or (errors and not drop_bad):
        raise DataError(_refusal(fatal or errors, droppable=not fatal))
    data, changes = mend(data, findings)
    for change in _left_out(findings) + changes:
        log.warning("%s", change)
    _refuse_empty(data, needs)
    return data


def fix(source: str | Path, out: str | Path) -> list[str]:
    """Write a mended copy of a data set to a new folder, in COCO's format.

    Returns a line on each thing done. Raises `DataError` for what cannot be mended (an
    unreadable annotation file, a data set that is empty or would be).
    """
    data, findings = _read(source, decode=True)
    fatal = [one for one in findings if one.remedy == "refuse"]
    if fatal:
        raise DataError(_refusal(fatal, droppable=False))
    data, changes = mend(data, findings)
    _refuse_empty(data, _SPLITS)
    write(data, out)
    return _left_out(findings) + changes


def _read(source: str | Path, decode: bool) -> tuple[CocoData, list[Finding]]:
    findings: list[Finding] = []
    data = load(source, report=findings.append)
    unread = {finding.split for finding in findings if finding.code == "file-unreadable"}
    more = examine(data, decode)
    return data, findings + [one for one in more if one.code != "data-empty" or one.split not in unread]


def _left_out(findings: Iterable[Finding]) -> list[str]:
    """A line on each record that was never read, so that there is nothing to mend."""
    return [f"{one}; left out" for one in findings if one.severity == "error" and one.index is None]


def _refusal(errors: Sequence[Finding], *, droppable: bool) -> str:
    counts = ", ".join(f"{code} {count}" for code, count in summary(errors).items())
    names = "; ".join(str(finding) for finding in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    hint = " (see them with `nars data check DIR`, mend them with --fix, or leave them out with --drop-bad)"
    return f"{len(errors)} errors in the data ({counts}): {names}{more}{hint if droppable else ''}"


def _refuse_empty(data: CocoData, needs: Sequence[str]) -> None:
    for split in data.splits:
        if split.name in needs and not (split.images and split.annotations):
            raise DataError(f"{split.source}: nothing to {split.name} on is left without the bad records")


def _probe_all(split: Subset, decode: bool) -> list[images.Probe | str]:
    """For every image what it is, or why it cannot be read; in threads, Pillow frees the lock."""
    if split.pixels is not None:
        shapes = (split.pixels[image.id].shape for image in split.images)
        return [images.Probe(width, height, 1, None) for height, width, _ in shapes]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(partial(_probe, decode=decode), map(split.path, split.images)))


def _probe(path: Path, decode: bool) -> images.Probe | str:
    try:
        return images.probe(path, decode)
    except DataError as error:
        return str(error).removeprefix(f"{path}: ")


def _image_findings(split: Subset, probes: Sequence[images.Probe | str]) -> Iterator[Finding]:
    for index, (image, probe) in enumerate(zip(split.images, probes, strict=True)):
        path = split.path(image)

        def found(
            code: str, message: str, path: Path = path, id: int = image.id, index: int = index
        ) -> Finding:
            return Finding(code, split.name, str(path), message, id, index)

        if isinstance(probe, str):
            yield found("image-unreadable" if path.exists() else "image-missing", probe)
        elif not probe.fits(image.width, image.height):
            stated = f"{image.width}x{image.height}" if image.width else "none"
            yield found("size-mismatch", f"the image is {probe.width}x{probe.height}, stated is {stated}")
        elif probe.orientation > 1 and probe.shown == (probe.width, probe.height):
            message = f"EXIF orientation {probe.orientation} does not show in the size; taken as it is stored"
            yield found("orientation", message)


def _split_findings(split: Subset) -> Iterator[Finding]:
    yield from _duplicates("image-id-duplicate", split, split.images)
    yield from _duplicates("annotation-id-duplicate", split, split.annotations)
    files: set[str] = set()
    for index, image in enumerate(split.images):
        path = str(split.path(image))
        if image.file in files:
            yield Finding("file-duplicate", split.name, path, "listed before in this split", image.id, index)
        files.add(image.file)
        if not split.by_image[image.id]:
            yield Finding("image-without-boxes", split.name, path, "kept as background", image.id, index)
    yield from _annotation_findings(split)


def _duplicates(code: str, split: Subset, records: Sequence[ImageRecord | Annotation]) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, record in enumerate(records):
        if record.id in seen:
            file = str(split.path(record)) if isinstance(record, ImageRecord) else str(split.source)
            yield Finding(code, split.name, file, f"id {record.id} is in use already", record.id, index)
        seen.add(record.id)


def _annotation_findings(split: Subset) -> Iterator[Finding]:
    records = {image.id: image for image in split.images}
    categories = {category.id for category in split.categories}
    for index, annotation in enumerate(split.annotations):
        image = records.get(annotation.image_id)
        file = str(split.source if image is None else split.path(image))
        for code, message in _annotation_faults(annotation, image, categories):
            yield Finding(code, split.name, file, message, annotation.id, index)


def _annotation_faults(
    annotation: Annotation, image: ImageRecord | None, categories: set[int]
) -> Iterator[tuple[str, str]]:
    """Codes and messages; at most one of them is a reason to drop the annotation."""
    if image is None:
        yield "annotation-without-image", f"there is no image with id {annotation.image_id}"
        return
    if annotation.category_id not in categories:
        yield "category-unknown", f"there is no category with id {annotation.category_id}"
        return
    fault = _box_fault(annotation.box, image)
    if fault:
        yield fault
    if fault and fault[0] != "box-overhang":
        return
    if annotation.crowd:
        yield "crowd", "not trained on, ignored in evaluation"
    if annotation.segmentation is not None and image.width:
        reason = masks.fault(annotation.segmentation, image.height, image.width)
        if reason:
            yield "mask-malformed", reason


def _box_fault(box: tuple[float, float, float, float], image: ImageRecord) -> tuple[str, str] | None:
    left, top, width, height = box
    right, bottom = left + width, top + height
    starts_inside = 0 <= left < image.width and 0 <= top < image.height and right > left and bottom > top
    if starts_inside and right <= image.width and bottom <= image.height:
        return None  # nearly all boxes end here; NaN and infinity do not
    shown = f"box {', '.join(f'{number:g}' for number in box)}"
    if not all(abs(number) < inf for number in box):
        return "box-nonfinite", f"{shown} is not finite"
    if right <= left or bottom <= top:
        return "box-empty", f"{shown} has no area"
    if not image.width:  # its size is stated nowhere, another finding
        return None
    if left >= image.width or top >= image.height or right <= 0 or bottom <= 0:
        return "box-outside", f"{shown} lies outside the image of {image.width}x{image.height}"
    if max(-left, -top, right - image.width, bottom - image.height) <= _OVERHANG:
        return None
    return "box-overhang", f"{shown} reaches over the border of {image.width}x{image.height}"


def _category_findings(data: CocoData) -> Iterator[Finding]:
    names: dict[int, str] = {}
    for split in data.splits:
        for category in split.categories:
            known = names.setdefault(category.id, category.name)
            if known != category.name:
                message = f"category {category.id} is {known!r} and {category.name!r}"
                yield Finding("category-conflict", split.name, str(split.source), message, category.id)
        if not split.images or not any(not one.crowd for one in split.annotations):
            missing = "boxes" if split.images else "images"
            yield Finding("data-empty", split.name, str(split.source), f"no {missing} in {split.name}")
    used = {annotation.category_id for annotation in data.train.annotations}
    for category in data.categories if used else ():
        if category.id not in used:
            message = f"category {category.name!r} has no boxes in train"
            yield Finding("category-unused", "train", str(data.train.source), message, category.id)


def _shared_findings(data: CocoData, probes: dict[str, list[images.Probe | str]]) -> Iterator[Finding]:
    """Validation images that are, byte for byte, training images."""
    train = {key: path for path, key in _contents(data.train, probes["train"])}
    for index, (path, key) in enumerate(_contents(data.val, probes["val"])):
        if key is not None and key in train:
            message = f"is the same image as {train[key]} in train"
            yield Finding("image-in-both", "val", str(path), message, data.val.images[index].id, index)


def _contents(
    split: Subset, probes: Iterable[images.Probe | str]
) -> Iterator[tuple[Path, bytes | Path | None]]:
    """Every image with what tells it from others: its digest, or its place where it was not read."""
    for image, probe in zip(split.images, probes, strict=True):
        path = split.path(image)
        if isinstance(probe, str) or split.pixels is not None:
            yield path, None
        else:
            yield path, probe.digest or path.resolve()
