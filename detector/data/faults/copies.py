"""Finds copies of images by their content: within a part, and between parts, which is a leak."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from detector.data.findings import Finding
from detector.data.images import Probe
from detector.data.records import CocoData, ImageRecord, Subset
from nars.data.contents import hashes

__all__ = ["findings", "noted"]

_Key = bytes | Path
"""The content of an image: the digest of its bytes, or its file if it was not read whole."""


def findings(data: CocoData, probes: Mapping[str, Sequence[Probe | str]]) -> Iterator[Finding]:
    """Images that are, byte for byte, others of their part or of a part before theirs.

    `probes` has what is known of the images of train and val; test is read here, if they were read.
    """
    seen: dict[_Key, tuple[Subset, ImageRecord]] = {}
    for subset in filter(None, (*data.subsets, data.test)):
        own: dict[_Key, ImageRecord] = {}
        known = probes.get(subset.name) if subset is not data.test else None
        keys = _read(subset, _were_read(probes)) if known is None else _known(subset, known)
        for index, (image, key) in enumerate(zip(subset.images, keys, strict=True)):
            if key is None:
                continue
            if key in seen:
                yield _leak(subset, index, *seen[key])
            elif key in own:
                yield _copy(subset, index, own[key])
            own.setdefault(key, image)
        for key, image in own.items():
            seen.setdefault(key, (subset, image))


def noted(data: CocoData, found: Iterable[Finding]) -> CocoData:
    """The data with a note at each part that has images of another part."""
    leaks: dict[str, list[Finding]] = defaultdict(list)
    for finding in found:
        if finding.code == "image-in-both":
            leaks[finding.split].append(finding)
    parts: dict[str, Subset] = {}
    for subset in filter(None, (*data.subsets, data.test)):
        if leak := leaks.get(subset.name):
            file = Path(leak[0].file)
            count = f"{len(leak)} of its images are" if len(leak) > 1 else "1 of its images is"
            note = f"{count} in another part, too: {file.name} {leak[0].message}"
            subset = replace(subset, notes=(*subset.notes, note))
        parts[subset.name] = subset
    return replace(data, train=parts["train"], val=parts["val"], test=parts.get("test"))


def _leak(subset: Subset, index: int, other: Subset, original: ImageRecord) -> Finding:
    image = subset.images[index]
    message = f"is the same image as {other.path(original)} in {other.name}"
    return Finding("image-in-both", subset.name, str(subset.path(image)), message, image.id, index)


def _copy(subset: Subset, index: int, original: ImageRecord) -> Finding:
    """A copy within a part, whose boxes may be others."""
    image = subset.images[index]
    listed = image.file == original.file
    code = "file-duplicate" if listed else "image-duplicate"
    message = "listed before in this split" if listed else f"is the same image as {subset.path(original)}"
    if _boxes(subset, image) != _boxes(subset, original):
        code, message = "image-ambiguous", f"{message}, with other boxes"
    return Finding(code, subset.name, str(subset.path(image)), message, image.id, index)


def _boxes(subset: Subset, image: ImageRecord) -> list[tuple[object, ...]]:
    return sorted((box.category_id, box.box, box.crowd) for box in subset.by_image[image.id])


def _were_read(probes: Mapping[str, Sequence[Probe | str]]) -> bool:
    return any(isinstance(probe, Probe) and probe.digest for part in probes.values() for probe in part)


def _known(subset: Subset, probes: Sequence[Probe | str]) -> list[_Key | None]:
    """The content of every image that could be read."""
    if subset.pixels is not None:
        return [None] * len(subset.images)
    return [
        None if isinstance(probe, str) else probe.digest or subset.path(image).resolve()
        for image, probe in zip(subset.images, probes, strict=True)
    ]


def _read(subset: Subset, whole: bool) -> list[_Key | None]:
    """The content of the images of a part that was not looked at, read `whole` or by their files."""
    files = [subset.path(image) for image in subset.images]
    if not whole:
        return [file.resolve() for file in files]
    digests = hashes(files, subset.root)
    return [bytes.fromhex(digest) if digest != "unreadable" else None for digest in digests]
