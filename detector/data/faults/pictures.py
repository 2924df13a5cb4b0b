"""Faults of image files: missing, damaged, or of another size than the data set states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from detector.data import images
from detector.data.findings import Finding
from detector.data.records import Subset
from nars.data.pictures import READERS, SUFFIXES
from nars.errors import DataError
from nars.foreign.files import Finder
from nars.foreign.paths import is_there

__all__ = ["Probed", "Prober", "findings", "probe", "probe_all", "sized"]

Probed = images.Probe | str
"""Facts about an image file, or the reason why it cannot be read."""

Prober = Callable[[Path], Probed]
"""Looks at an image file."""


def probe(path: Path, decode: bool) -> Probed:
    """Look at an image file; with `decode`, decode it to its end."""
    try:
        return images.probe(path, decode)
    except DataError as error:
        return str(error).removeprefix(f"{path}: ")


def probe_all(subset: Subset, probe: Prober) -> list[Probed]:
    """Look at every image of a part. Threads help, because Pillow frees the lock."""
    if subset.pixels is not None:
        shapes = (subset.pixels[image.id].shape for image in subset.images)
        return [images.Probe(width, height, 1, None) for height, width, _ in shapes]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(probe, map(subset.path, subset.images)))


def sized(subset: Subset, probes: Sequence[Probed]) -> Subset:
    """The part with the sizes that `mend` states, because boxes and masks have to fit these."""
    records = list(subset.images)
    for index, (image, probe) in enumerate(zip(subset.images, probes, strict=True)):
        if not isinstance(probe, str) and not probe.fits(image.width, image.height):
            records[index] = images.restated(subset, image, probe) or image
    return replace(subset, images=tuple(records))


def findings(subset: Subset, probes: Sequence[Probed]) -> Iterator[Finding]:
    """List what is wrong with the files of a part."""
    finder = Finder(subset.root, SUFFIXES, [image.file for image in subset.images])
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
        elif probe.is_turned_unseen:
            message = f"EXIF orientation {probe.orientation} does not show in the size; taken as it is stored"
            yield finding("orientation", message)
