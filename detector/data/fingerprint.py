"""A digest that tells detection data sets apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from detector.data.records import CocoData, Subset
from nars.data.contents import hashes
from nars.foreign.paths import is_file

__all__ = ["earlier_fingerprint", "fingerprint"]


def fingerprint(data: CocoData) -> str:
    """Return a hex digest of records and images: equal for equal data, wherever it is stored.

    Image files count by their bytes. Hashes of many files are remembered, so they are read once.
    """
    return _digest(data, {subset.name: _contents(subset) for subset in data.subsets})


def earlier_fingerprint(data: CocoData) -> str:
    """Return the digest in version 0.1, in which image files count by their size only."""
    return _digest(data, {subset.name: _sizes(subset) for subset in data.subsets})


def _digest(data: CocoData, files: dict[str, Sequence[bytes]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr(data.categories).encode())
    for subset in data.subsets:
        digest.update(subset.name.encode())
        for image, content in zip(subset.images, files[subset.name], strict=True):
            digest.update(repr(image).encode())
            digest.update(content)
        for annotation in subset.annotations:
            digest.update(repr(annotation).encode())
    return digest.hexdigest()


def _contents(subset: Subset) -> Sequence[bytes]:
    if subset.pixels is not None:
        return _pixels(subset)
    files = [subset.path(image) for image in subset.images]
    return [content.encode() for content in hashes(files, subset.root)]


def _sizes(subset: Subset) -> Sequence[bytes]:
    if subset.pixels is not None:
        return _pixels(subset)
    files = (subset.path(image) for image in subset.images)
    return [str(file.stat().st_size if is_file(file) else None).encode() for file in files]


def _pixels(subset: Subset) -> Sequence[bytes]:
    assert subset.pixels is not None, "a data set made in memory"
    return [subset.pixels[image.id].tobytes() for image in subset.images]
