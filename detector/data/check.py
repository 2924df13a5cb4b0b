"""Check a detection data set before training: list its faults, refuse it, or mend it.

    findings = check("DIR")             lists what is wrong, each entry with file and id
    changes = fix("DIR", "OUT")         writes a mended copy in COCO's format
    data = usable("DIR")                returns data to train on; raises if there are errors

`detector.data.findings.RULES` lists the rules and the remedy of each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from detector.data import copies, images, record_faults, whole_sets
from detector.data.coco import write
from detector.data.findings import Finding, summary
from detector.data.layouts import load
from detector.data.mend import mend
from detector.data.records import Annotation, CocoData, ImageRecord, Subset
from nars.data.pictures import READERS, SUFFIXES
from nars.errors import DataError
from nars.foreign.files import Finder
from nars.foreign.paths import is_there

__all__ = ["check", "examine", "fix", "read", "usable"]

log = logging.getLogger(__name__)

_SPLITS = ("train", "val")
"""The splits that a training needs."""


def check(source: str | Path, decode: bool = True) -> list[Finding]:
    """List everything wrong with a data set; with `decode` every image is decoded to its end.

    Without `decode`, images are only opened. This takes a hundredth of the time, but misses
    damage further into a file and copies under other names. Raises `DataError` if there is
    no data set at all.
    """
    return read(source, decode)[1]


def examine(data: CocoData, decode: bool = True) -> list[Finding]:
    """Do the same as `check` for data that has been read already."""
    findings = [finding for subset in data.subsets if subset.images for finding in _subset_findings(subset)]
    findings += [finding for subset in data.subsets for finding in whole_sets.subset_findings(subset)]
    findings += whole_sets.alike(data)
    probes = {subset.name: _probe_all(subset, decode) for subset in data.subsets}
    for subset in data.subsets:
        findings += _image_findings(subset, probes[subset.name])
    findings += _category_findings(data)
    findings += copies.findings(data, probes)
    return list(_gravest(findings))


def _gravest(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Leave out what follows from a graver fault of the same box."""
    boxes = [finding for finding in findings if finding.code.startswith("box-")]
    corners = {(finding.split, finding.index) for finding in boxes if finding.code == "box-corners"}
    lost = {(finding.split, finding.index) for finding in boxes if finding.remedy == "drop annotation"}
    for finding in findings:
        place = finding.split, finding.index
        follows = place in corners and finding.code in ("box-overhang", "box-outside")
        if not follows and not (place in lost and finding.code in ("box-tiny", "box-small", "box-area")):
            yield finding


def usable(
    source: str | Path | CocoData,
    drop_bad: bool = False,
    decode: bool = True,
    needs: Sequence[str] = _SPLITS,
    whole: str | None = None,
) -> CocoData:
    """Return data without errors in the splits that the caller `needs`.

    Raises `DataError` that counts the errors and names the first ones. With `drop_bad`, bad
    records are left out instead; errors that cannot be left out are refused in either case. With `whole`,
    data without parts stay in one piece, as the split of that name.
    """
    data, findings = (
        (source, examine(source, decode)) if isinstance(source, CocoData) else read(source, decode, whole)
    )
    data = copies.noted(data, findings)
    findings = [finding for finding in findings if finding.split in needs]
    errors = [finding for finding in findings if finding.severity == "error"]
    fatal = [finding for finding in errors if finding.remedy == "refuse"]
    if fatal or (errors and not drop_bad):
        raise DataError(_refusal(fatal or errors, droppable=not fatal))
    data, changes = mend(data, findings)
    unused = [str(finding) for finding in findings if finding.code == "category-unused"]
    for change in _left_out(findings) + changes + unused:
        log.warning("%s", change)
    _refuse_empty(data, needs)
    return data


def fix(source: str | Path, out: str | Path) -> list[str]:
    """Write a mended copy of a data set to a new folder, in COCO's format.

    Returns a line about each change. Raises `DataError` for what cannot be mended (an
    unreadable annotation file, a data set that is empty or would become so).
    """
    data, findings = read(source, decode=True)
    fatal = [finding for finding in findings if finding.remedy == "refuse"]
    if fatal:
        raise DataError(_refusal(fatal, droppable=False))
    data, changes = mend(data, findings, copies=True)
    _refuse_empty(data, _SPLITS)
    write(data, out)
    left = [] if data.test is None else [f"{data.test.source}: the part test is not in the copy"]
    return _left_out(findings) + changes + left


def read(source: str | Path, decode: bool = True, whole: str | None = None) -> tuple[CocoData, list[Finding]]:
    """Return a data set with everything wrong with it; see `check` and `detector.data.layouts.load`."""
    findings: list[Finding] = []
    data = load(source, report=findings.append, whole=whole)
    unread = {finding.split for finding in findings if finding.code == "file-unreadable"}
    others = examine(data, decode)
    others = [finding for finding in others if finding.code != "data-empty" or finding.split not in unread]
    return data, findings + others


def _left_out(findings: Iterable[Finding]) -> list[str]:
    """Return a line about each record that could not be read, so there is nothing to mend."""
    unread = [finding for finding in findings if finding.severity == "error" and finding.index is None]
    return [f"{finding}; left out" for finding in unread]


def _refusal(errors: Sequence[Finding], *, droppable: bool) -> str:
    counts = ", ".join(f"{code} {count}" for code, count in summary(errors).items())
    names = "; ".join(str(finding) for finding in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    hint = " (see them with `nars data check DIR`, mend them with --fix, or leave them out with --drop-bad)"
    return f"{len(errors)} errors in the data ({counts}): {names}{more}{hint if droppable else ''}"


def _refuse_empty(data: CocoData, needs: Sequence[str]) -> None:
    for subset in data.subsets:
        useful = subset.images and not all(annotation.crowd for annotation in subset.annotations)
        if subset.name in needs and not useful:
            raise DataError(f"{subset.source}: nothing to {subset.name} on is left without the bad records")


def _probe_all(subset: Subset, decode: bool) -> list[images.Probe | str]:
    """Probe every image, or say why it cannot be read. Threads help, because Pillow frees the lock."""
    if subset.pixels is not None:
        shapes = (subset.pixels[image.id].shape for image in subset.images)
        return [images.Probe(width, height, 1, None) for height, width, _ in shapes]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(partial(_probe, decode=decode), map(subset.path, subset.images)))


def _probe(path: Path, decode: bool) -> images.Probe | str:
    try:
        return images.probe(path, decode)
    except DataError as error:
        return str(error).removeprefix(f"{path}: ")


def _image_findings(subset: Subset, probes: Sequence[images.Probe | str]) -> Iterator[Finding]:
    finder = Finder(subset.root, SUFFIXES)
    for index, (image, probe) in enumerate(zip(subset.images, probes, strict=True)):
        path = subset.path(image)

        def finding(code: str, message: str, path: Path = path, index: int = index) -> Finding:
            return Finding(code, subset.name, str(path), message, subset.images[index].id, index)

        if isinstance(probe, str):
            near = None if is_there(path) else finder.near(image.file)
            code = "image-unreadable" if is_there(path) else "image-missing"
            yield finding(code, f"{probe}; {near}" if near else probe)
        elif not probe.fits(image.width, image.height):
            stated = f"{image.width}x{image.height}" if image.width else "none"
            yield finding("size-mismatch", f"the image is {probe.width}x{probe.height}, stated is {stated}")
        elif probe.orientation > 1 and probe.shown == (probe.width, probe.height):
            message = f"EXIF orientation {probe.orientation} does not show in the size; taken as it is stored"
            yield finding("orientation", message)


def _subset_findings(subset: Subset) -> Iterator[Finding]:
    yield from _duplicates("image-id-duplicate", subset, subset.images)
    yield from _duplicates("annotation-id-duplicate", subset, subset.annotations)
    for index, image in enumerate(subset.images):
        if not subset.by_image[image.id]:
            path = str(subset.path(image))
            yield Finding("image-without-boxes", subset.name, path, "kept as background", image.id, index)
    yield from record_faults.annotation_findings(subset)


def _duplicates(code: str, subset: Subset, records: Sequence[ImageRecord | Annotation]) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, record in enumerate(records):
        if record.id in seen:
            file = str(subset.path(record)) if isinstance(record, ImageRecord) else str(subset.source)
            yield Finding(code, subset.name, file, f"id {record.id} is in use already", record.id, index)
        seen.add(record.id)


def _category_findings(data: CocoData) -> Iterator[Finding]:
    names: dict[int, str] = {}
    for subset in data.subsets:
        for category in subset.categories:
            first_name = names.setdefault(category.id, category.name)
            if first_name != category.name:
                message = f"category {category.id} is {first_name!r} and {category.name!r}"
                yield Finding("category-conflict", subset.name, str(subset.source), message, category.id)
        if subset.annotations and not subset.categories:
            if subset is data.val and subset.source == data.train.source:  # said already
                continue
            message = f"no categories, and {len(subset.annotations)} boxes that need them"
            yield Finding("categories-missing", subset.name, str(subset.source), message)
        elif not subset.images or all(annotation.crowd for annotation in subset.annotations):
            missing = "boxes" if subset.images else "images"
            count = len(subset.annotations)
            crowds = f": all {count} are crowds (iscrowd) or difficult" if count else ""
            message = f"no {missing} in {subset.name}{crowds}"
            yield Finding("data-empty", subset.name, str(subset.source), message)
    yield from _unused_categories(data)


def _unused_categories(data: CocoData) -> Iterator[Finding]:
    """Categories without boxes in train, and others without boxes in val."""
    used = [{annotation.category_id for annotation in subset.annotations} for subset in data.subsets[:2]]
    for category in data.categories if used[0] else ():
        subset = data.val if category.id in used[0] else data.train
        if category.id not in used[0]:
            message = f"category {category.name!r} has no boxes in train: it is not learned"
        elif used[1] and category.id not in used[1]:
            message = f"category {category.name!r} has no boxes in val: its AP is not measured"
        else:
            continue
        yield Finding("category-unused", subset.name, str(subset.source), message, category.id)
