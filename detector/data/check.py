"""Check a detection data set before training: list its faults, refuse it, or mend it.

    findings = check("DIR")             lists what is wrong, each entry with file and id
    changes = fix("DIR", "OUT")         writes a mended copy in COCO's format
    data = usable("DIR")                returns data to train on; raises if there are errors

`detector.data.findings.RULES` lists the rules and the remedy of each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from detector.data.coco import write
from detector.data.faults import categories, copies, pictures, single, whole_sets
from detector.data.findings import Finding, summary
from detector.data.layouts import load
from detector.data.mend import mend
from detector.data.records import Annotation, CocoData, ImageRecord, Subset
from nars.errors import DataError
from nars.foreign.parts import counted

__all__ = ["check", "examine", "fix", "read", "usable"]

log = logging.getLogger(__name__)

_SPLITS = ("train", "val")
"""The splits that a training needs."""

_OF_CLASSES = ("category-conflict", "category-duplicate")
"""Errors of the classes, which are those of all splits."""

_REMEDY = "see `nars data check DIR`, mend with its --fix, or leave out with --drop-bad"
"""The ways to handle errors that can be left out."""


def check(source: str | Path, decode: bool = True) -> list[Finding]:
    """List everything wrong with a data set; with `decode` every image is decoded to its end.

    Without `decode`, images are only opened. This takes a hundredth of the time, but misses
    damage further into a file and copies under other names. Raises `DataError` if there is
    no data set at all.
    """
    return read(source, decode)[1]


def examine(data: CocoData, decode: bool = True) -> list[Finding]:
    """Do the same as `check` for data that has been read already."""
    return _examined(data, partial(pictures.probe, decode=decode))


def _examined(data: CocoData, probe: pictures.Prober) -> list[Finding]:
    probes = {subset.name: pictures.probe_all(subset, probe) for subset in data.subsets}
    sized = [pictures.sized(subset, probes[subset.name]) for subset in data.subsets]
    findings = [finding for subset in sized if subset.images for finding in _subset_findings(subset)]
    findings += whole_sets.findings(sized)
    for subset in data.subsets:
        findings += pictures.findings(subset, probes[subset.name])
    findings += [*categories.findings(data), *_lacking(data)]
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
    records are left out instead; errors that cannot be left out are refused in either case. For
    `whole` see `detector.data.layouts.load`.
    """
    data, findings = (
        (source, examine(source, decode)) if isinstance(source, CocoData) else read(source, decode, whole)
    )
    data = copies.noted(data, findings)
    findings = [finding for finding in findings if finding.split in needs or finding.code in _OF_CLASSES]
    errors = [finding for finding in findings if finding.severity == "error"]
    fatal = [finding for finding in errors if finding.remedy == "refuse"]
    if fatal or (errors and not drop_bad):
        raise DataError(_refusal(fatal or errors), "" if fatal else _REMEDY)
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
    probe = cache(partial(pictures.probe, decode=True))  # no image is decoded twice
    data, findings = _read(source, probe)
    fatal = [finding for finding in findings if finding.remedy == "refuse"]
    if fatal:
        raise DataError(_refusal(fatal))
    changes = _left_out(findings)
    if data.test is not None:
        changes.append(f"{data.test.source}: the part test is not in the copy")
    while any(finding.remedy not in ("refuse", "keep") for finding in findings if finding.index is not None):
        data, more = mend(data, findings, copies=True)  # what one change brings to light is the next one's
        _refuse_empty(data, _SPLITS)
        changes += more
        findings = _examined(data, probe)
    _refuse_empty(data, _SPLITS)
    write(data, out)
    return changes


def read(source: str | Path, decode: bool = True, whole: str | None = None) -> tuple[CocoData, list[Finding]]:
    """Return a data set with everything wrong with it; see `check` and `detector.data.layouts.load`."""
    return _read(source, partial(pictures.probe, decode=decode), whole)


def _read(
    source: str | Path, probe: pictures.Prober, whole: str | None = None
) -> tuple[CocoData, list[Finding]]:
    findings: list[Finding] = []
    data = load(source, report=findings.append, whole=whole)
    unread = {finding.split for finding in findings if finding.code == "file-unreadable"}
    others = _examined(data, probe)
    others = [finding for finding in others if finding.code != "data-empty" or finding.split not in unread]
    return data, findings + others


def _left_out(findings: Iterable[Finding]) -> list[str]:
    """Return a line about each record that could not be read, so there is nothing to mend."""
    unread = [finding for finding in findings if finding.severity == "error" and finding.index is None]
    return [f"{finding}; left out" for finding in unread]


def _refusal(errors: Sequence[Finding]) -> str:
    counts = ", ".join(f"{code} {count}" for code, count in summary(errors).items())
    names = "; ".join(str(finding) for finding in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    return f"{counted(len(errors), 'error')} in the data ({counts}): {names}{more}"


def _refuse_empty(data: CocoData, needs: Sequence[str]) -> None:
    for subset in data.subsets:
        useful = subset.images and not all(annotation.crowd for annotation in subset.annotations)
        if subset.name in needs and not useful:
            raise DataError(f"{subset.source}: nothing to {subset.name} on is left without the bad records")


def _subset_findings(subset: Subset) -> Iterator[Finding]:
    yield from _duplicates("image-id-duplicate", subset, subset.images)
    yield from _duplicates("annotation-id-duplicate", subset, subset.annotations)
    for index, image in enumerate(subset.images):
        if subset.annotations and not subset.by_image[image.id]:
            path = str(subset.path(image))
            yield Finding("image-without-boxes", subset.name, path, "kept as background", image.id, index)
    yield from single.findings(subset)


def _duplicates(code: str, subset: Subset, records: Sequence[ImageRecord | Annotation]) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, record in enumerate(records):
        if record.id in seen:
            file = str(subset.path(record)) if isinstance(record, ImageRecord) else str(subset.source)
            yield Finding(code, subset.name, file, f"id {record.id} is in use already", record.id, index)
        seen.add(record.id)


def _lacking(data: CocoData) -> Iterator[Finding]:
    """Parts without images, without boxes, or without the categories of their boxes."""
    for subset in data.subsets:
        if subset.annotations and not subset.categories:
            if subset is data.val and subset.source == data.train.source:  # said already
                continue
            message = f"no categories for its {counted(len(subset.annotations), 'box')}"
            yield Finding("categories-missing", subset.name, str(subset.source), message)
        elif not subset.images or all(annotation.crowd for annotation in subset.annotations):
            missing = "boxes" if subset.images else "images"
            count = len(subset.annotations)
            crowds = f": all {count} are crowds (iscrowd) or difficult" if count else ""
            message = f"no {missing} in {subset.name}{crowds}"
            yield Finding("data-empty", subset.name, str(subset.source), message)
