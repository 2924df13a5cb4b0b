"""Leaves out or corrects the records in which a check found faults; no file is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from detector.data import images
from detector.data.findings import Finding, Remedy
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Subset
from nars.errors import DataError
from nars.foreign.parts import counted

__all__ = ["mend"]

_COPIES: dict[Remedy, Remedy] = {"leave out": "drop annotation", "leave out image": "drop image"}
"""The action for copies, if they are left out."""


def mend(data: CocoData, findings: Iterable[Finding], *, copies: bool = False) -> tuple[CocoData, list[str]]:
    """Return the data without the faults in `findings`, and a line about each change.

    Boxes are clipped to their image, annotations are renumbered, and sizes are corrected if that
    is safe; an image that cannot be used is dropped with its annotations, and categories of one
    name become one. Copies of a box or of an image are left out only with `copies`.
    """
    findings = list(findings)
    by_split: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.index is not None:
            by_split[finding.split].append(finding)
    changes: list[str] = []
    data = _merge_categories(data, findings, changes)
    train, val = (_mend_subset(subset, by_split[subset.name], changes, copies) for subset in data.subsets)
    return replace(data, train=train, val=val), changes


def _merge_categories(data: CocoData, findings: list[Finding], changes: list[str]) -> CocoData:
    """The data whose categories of one name all have the lowest of their ids, in both parts."""
    merged = [finding for finding in findings if finding.remedy == "merge"]
    if not merged:
        return data
    first: dict[str, int] = {}
    ids = {category.id: first.setdefault(category.name, category.id) for category in data.categories}
    changes += [f"{finding}; made one class" for finding in merged]

    def merged_in(subset: Subset) -> Subset:
        categories: dict[int, Category] = {}
        for category in subset.categories:
            id = ids.get(category.id, category.id)
            categories.setdefault(id, category._replace(id=id))
        boxes = (
            box._replace(category_id=ids.get(box.category_id, box.category_id)) for box in subset.annotations
        )
        return replace(subset, categories=tuple(categories.values()), annotations=tuple(boxes))

    return replace(data, train=merged_in(data.train), val=merged_in(data.val))


def _mend_subset(subset: Subset, findings: list[Finding], changes: list[str], copies: bool) -> Subset:
    todo: dict[Remedy, dict[int, Finding]] = defaultdict(dict)
    for finding in findings:
        remedy = _COPIES.get(finding.remedy, finding.remedy) if copies else finding.remedy
        if finding.index is not None:
            todo[remedy].setdefault(finding.index, finding)
    if all(remedy in ("keep", *_COPIES) for remedy in todo):
        return subset
    kept, lost = _mend_images(subset, todo, changes)
    sizes = {image.id: image for image in kept}
    next_id = max((annotation.id for annotation in subset.annotations), default=0) + 1
    annotations = []
    for index, annotation in enumerate(subset.annotations):
        if index in todo["drop annotation"]:
            changes.append(f"{todo['drop annotation'][index]}; annotation dropped")
        elif annotation.image_id not in lost:
            if index in todo["renumber"]:
                changes.append(f"{todo['renumber'][index]}; renumbered to {next_id}")
                annotation = annotation._replace(id=next_id)
                next_id += 1
            annotations.append(_mend_annotation(annotation, index, todo, sizes, changes))
    return replace(subset, images=tuple(kept), annotations=tuple(annotations))


def _mend_annotation(
    annotation: Annotation,
    index: int,
    todo: dict[Remedy, dict[int, Finding]],
    sizes: dict[int, ImageRecord],
    changes: list[str],
) -> Annotation:
    if index in todo["corners"]:
        changes.append(f"{todo['corners'][index]}; taken for corners")
        left, top, right, bottom = annotation.box
        width, height = right - left, bottom - top
        area = min(annotation.area, width * height)  # one that was not stated is of the corners as sizes
        annotation = annotation._replace(box=(left, top, width, height), area=area)
    if index in todo["drop mask"]:
        changes.append(f"{todo['drop mask'][index]}; segmentation dropped, box kept")
        annotation = annotation._replace(segmentation=None)
    if index in todo["fractions"]:
        changes.append(f"{todo['fractions'][index]}; made pixels")
        annotation = _pixels(annotation, sizes[annotation.image_id])
    if index in todo["area"]:
        changes.append(f"{todo['area'][index]}; area of the box taken")
        annotation = annotation._replace(area=annotation.box[2] * annotation.box[3])
    if index in todo["clip"]:
        annotation = _clip(annotation, sizes[annotation.image_id])
        changes.append(f"{todo['clip'][index]}; clipped")
    return annotation


def _mend_images(
    subset: Subset, todo: dict[Remedy, dict[int, Finding]], changes: list[str]
) -> tuple[list[ImageRecord], set[int]]:
    """Return the images that stay, and the image ids whose annotations are dropped."""
    files = {image.id: image.file for image in reversed(subset.images)}
    dropped = todo["drop image"]
    # If two different files share an id, its annotations cannot be assigned to either.
    lost = {
        image.id
        for index, image in enumerate(subset.images)
        if index in dropped and (dropped[index].code != "image-id-duplicate" or files[image.id] != image.file)
    }
    kept = []
    for index, image in enumerate(subset.images):
        finding = dropped.get(index) or todo["restate"].get(index)
        if finding and finding.remedy == "restate" and image.id not in lost:
            restated = _restate(subset, image)
            if restated is not None:
                changes.append(f"{finding}; size restated")
                kept.append(restated)
                continue
            lost.add(image.id)
        if finding or image.id in lost:
            gone = len(subset.by_image[image.id]) if image.id in lost else 0
            reason = finding or f"{subset.path(image)} (id {image.id}): another image has its id"
            changes.append(f"{reason}; image dropped with {counted(gone, 'annotation')}")
        else:
            kept.append(image)
    return kept, lost


def _restate(subset: Subset, image: ImageRecord) -> ImageRecord | None:
    """Return the image with its real size, or None if it has none or may be another image's."""
    try:
        return images.restated(subset, image, images.probe(subset.path(image), decode=False))
    except DataError:
        return None


def _pixels(annotation: Annotation, image: ImageRecord) -> Annotation:
    """The annotation in pixels, whose numbers are fractions of the image."""
    left, top, width, height = annotation.box
    box = (left * image.width, top * image.height, width * image.width, height * image.height)
    masks = annotation.segmentation
    if isinstance(masks, list):
        sides = image.width, image.height
        masks = [[number * sides[index % 2] for index, number in enumerate(polygon)] for polygon in masks]
    return annotation._replace(box=box, area=annotation.area * image.width * image.height, segmentation=masks)


def _clip(annotation: Annotation, image: ImageRecord) -> Annotation:
    left, top, width, height = annotation.box
    x0, y0 = max(left, 0.0), max(top, 0.0)
    x1, y1 = min(left + width, float(image.width)), min(top + height, float(image.height))
    share = (x1 - x0) * (y1 - y0) / (width * height)
    area = annotation.area if annotation.segmentation is not None else annotation.area * share
    return annotation._replace(box=(x0, y0, x1 - x0, y1 - y0), area=area)
