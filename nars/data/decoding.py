"""Turns pictures into data: cuts them into splits and decodes into memory what fits."""

from __future__ import annotations

import hashlib
import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import PIL
import torch
from torch import Tensor

from nars.data.cache import shared
from nars.data.copies import known_digest, shared_images
from nars.data.images import ImageData
from nars.data.pictures import Fit, Picture, detail, in_threads, read_square, with_remedy
from nars.data.splits import MEMORY_LIMIT, DiskSplit, MemorySplit, Split
from nars.data.splitting import cut
from nars.errors import DataError
from nars.foreign.parts import Part

__all__ = ["CUT", "KEPT_SIDE", "UNDIVIDED", "Reading", "Squares", "from_pictures"]

logger = logging.getLogger(__name__)

KEPT_SIDE = 256
"""Largest side of pictures in memory; for larger resolutions they are read from disk."""

CUT, UNDIVIDED = "cut from train, since there is none", "not divided, since it is only measured"
"""Notes on a split that the source lacks, and on data without any split that are left whole."""

_PROBES = 64
"""How many pictures are looked at to choose the side for all."""

_SHOWN = 3
"""Classes or images that a warning names."""

_VERSION = "squares 1"
"""Changes when the same file becomes other pixels."""


@dataclass(frozen=True)
class Reading:
    """How a source is read, to be said of its parts."""

    layout: str
    """The kind of source that it is taken for."""
    notes: tuple[str, ...] = ()
    passed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Counts of files that were passed over by reason, for each split."""
    whole: bool = False
    """Whether images without any split stay together, as each of the three, since they are only measured."""


def from_pictures(
    name: str,
    classes: tuple[str, ...],
    splits: Mapping[str, Sequence[Picture]],
    content: Sequence[str],
    *,
    drop_bad: bool,
    earlier: Sequence[str] = (),
    reading: Reading = Reading("pictures"),
) -> ImageData:
    """Data from pictures not read yet; if val or test is missing, it is cut from train.

    `content` are lines that change when a picture does, `earlier` those of an older version. A picture that
    cannot be read raises `DataError` or, with `drop_bad`, is left out. In a split too large for memory it is
    noticed only when it is used.
    """
    parts = dict(splits)
    absent = [split for split in ("val", "test") if split not in parts]
    whole = reading.whole and len(absent) == 2
    if absent and not whole:
        train = parts["train"]
        pieces = cut([picture.label for picture in train], len(absent))
        for split, index in zip(("train", *absent), pieces, strict=True):
            parts[split] = [train[i] for i in index]
    built: dict[str, Split] = {}
    dropped: dict[str, str] = {}
    for split, pictures in parts.items():
        squares = Squares(pictures, drop_bad=drop_bad)
        built[split] = squares("crop")
        dropped |= {f"{split}/{name}": line for name, line in squares.dropped.items()}
        if not len(built[split]):
            raise DataError(f"{name}: no images for {split}; give it some, or more to train")
    if not whole and len(set(built["train"].labels.tolist())) < 2:
        raise DataError(f"{name}: the training images are of one class; a classifier needs two or more")
    _warn(name, classes, built, [] if whole else absent, list(dropped.values()))
    if whole:
        built, absent = dict.fromkeys(("train", "val", "test"), built["train"]), []
    lines = tuple(dropped.values())
    old = _digest([*classes, "", *(earlier or content), "", *lines])
    new = _digest([*classes, "", *content, "", *dropped]) if earlier else old
    data = ImageData(name, classes, built["train"], built["val"], built["test"], new)
    named = {split: [(each.name, known_digest(each)) for each in parts[split]] for split in parts}
    notes = {} if whole else shared_images(named)
    told = _parts(built, classes, absent, reading, notes, whole=whole)
    return replace(data, earlier_fingerprints=(old,) if earlier else (), dropped=lines, parts=told)


def _parts(
    built: Mapping[str, Split],
    classes: tuple[str, ...],
    absent: Sequence[str],
    reading: Reading,
    further: Mapping[str, str],
    *,
    whole: bool,
) -> tuple[Part, ...]:
    """A description of each split, with `further` notes on some."""
    parts = []
    for split in ("train", "val", "test")[: 1 if whole else 3]:
        notes = reading.notes
        if whole:
            notes = (*notes, UNDIVIDED)
        elif split in absent:
            notes = (*notes, CUT)
        notes += (further[split],) if split in further else ()
        passed = reading.passed.get(split, {})
        name = "all" if whole else split
        parts.append(Part(name, len(built[split]), classes, reading.layout, None, notes, passed))
    return tuple(parts)


def _digest(lines: Sequence[str]) -> str:
    """The digest of lines; a file name that is not UTF-8 counts by its bytes."""
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _warn(
    name: str,
    classes: Sequence[str],
    built: Mapping[str, Split],
    absent: Sequence[str],
    dropped: Sequence[str],
) -> None:
    """Log which pictures were left out, and which classes lack images in a split."""
    if dropped:
        more = f"; and {len(dropped) - _SHOWN} more" if len(dropped) > _SHOWN else ""
        images = "1 image" if len(dropped) == 1 else f"{len(dropped)} images"
        logger.warning("%s: left out %s: %s%s", name, images, "; ".join(dropped[:_SHOWN]), more)
    counts = {split: torch.bincount(built[split].labels, minlength=len(classes)).tolist() for split in built}
    divided = ("train", *absent)
    few = []
    for label, title in enumerate(classes):
        there = [counts[split][label] for split in divided]
        if any(there) and not all(there):
            few.append(f"{title!r} ({sum(there)})")
    if few:
        order = ", then ".join(divided)
        shown = _first_of(few)
        logger.warning("%s: too few images to be in every split: %s; first comes %s", name, shown, order)
    for split in [split for split in built if split not in absent]:
        lacking = [repr(title) for title, count in zip(classes, counts[split], strict=True) if not count]
        if lacking:
            logger.warning("%s: no images in %s of %s", name, split, _first_of(lacking))


def _first_of(classes: Sequence[str]) -> str:
    """Name the first classes, and say how many more there are."""
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    return f"{', '.join(classes[:_SHOWN])}{more}"


class Squares:
    """The pictures of one split as squares; each kind of square is made once, when it is asked for."""

    def __init__(self, pictures: Sequence[Picture], *, drop_bad: bool) -> None:
        probes = list(filter(None, map(_probe, pictures[:: max(1, len(pictures) // _PROBES)])))
        self._sizes = [probe.size for probe in probes] or [(1, 1)]
        self._channels = 1 if probes and all(probe.is_grey for probe in probes) else 3
        self.pictures = pictures
        self.drop_bad = drop_bad
        self.dropped: dict[str, str] = {}
        """A line about each picture that was left out, by its name."""
        self._median = min(round(statistics.median(map(min, self._sizes))), KEPT_SIDE)
        self._made: dict[Fit, Split] = {}

    def __call__(self, fit: Fit) -> Split:
        """The split with squares of the kind `fit`. Raises `DataError`."""
        if fit not in self._made:
            split = self._make(fit)
            split.refit = self
            self._made[fit] = split
        return self._made[fit]

    def _make(self, fit: Fit) -> Split:
        pictures = [picture if picture.fit == fit else picture._replace(fit=fit) for picture in self.pictures]
        largest = max(detail(size, fit) for size in self._sizes)
        side = min(largest, KEPT_SIDE)
        size = len(pictures) * 3 * side**2
        if size > MEMORY_LIMIT:
            return DiskSplit(pictures, side=self._median, channels=self._channels, drop_bad=self.drop_bad)
        identity = _identity(pictures, side)
        tensors = shared(identity, size if identity else 0, partial(self._decode, pictures, side))
        pixels, good = tensors["pixels"], tensors["good"].tolist()
        for number in sorted(set(range(len(pictures))).difference(good)):
            self._drop(pictures[number])
        disk = DiskSplit([pictures[number] for number in good], side=self._median, drop_bad=self.drop_bad)
        finer = disk if largest > side else None
        return MemorySplit(pixels, disk.labels, finer, side=self._median, identity=identity)

    def _decode(self, pictures: Sequence[Picture], side: int) -> dict[str, Tensor]:
        """The pixels of the pictures that can be read, and their numbers; copies of a file are read once."""
        contents = [known_digest(picture) or str(number) for number, picture in enumerate(pictures)]
        first = dict(zip(reversed(contents), reversed(pictures), strict=True))
        distinct = list(dict.fromkeys(contents))
        pixels = torch.empty(len(distinct), 3, side, side, dtype=torch.uint8)
        places: dict[str, int] = {}
        read = partial(read_square, side=side)
        images = in_threads(read, [first[content] for content in distinct], "decoding pictures")
        for content, image in zip(distinct, images, strict=True):
            if isinstance(image, Tensor):
                pixels[len(places)] = image
                places[content] = len(places)
            elif not self.drop_bad:
                raise with_remedy(image)
        good = [number for number, content in enumerate(contents) if content in places]
        pixels = _without_copies(pixels[: len(places)])
        if len(good) > len(places):
            pixels = pixels[[places[contents[number]] for number in good]]
        return {"pixels": pixels, "good": torch.tensor(good, dtype=torch.int64)}

    def _drop(self, picture: Picture) -> None:
        """Note why a picture is left out. Raises `DataError` if none may be."""
        error = read_square(picture, self._median)
        if not isinstance(error, DataError):
            error = DataError(f"cannot read image {picture.name}: it could not be read before")
        if not self.drop_bad:
            raise with_remedy(error)
        self.dropped[picture.name] = str(error)


def _identity(pictures: Sequence[Picture], side: int) -> tuple[str, ...]:
    """Everything that the squares of pictures depend on; nothing if that is not known."""
    digests = [picture.digest for picture in pictures]
    how = f"{_VERSION}: {pictures[0].fit} of {side} by Pillow {PIL.__version__}" if pictures else ""
    return (how, *digests) if all(digests) else ()


class _Probe(NamedTuple):
    """Width and height of a picture, and whether its three channels are equal."""

    size: tuple[int, int]
    is_grey: bool


def _probe(picture: Picture) -> _Probe | None:
    """Look at a picture; None if it cannot be read."""
    try:
        image = picture.open(KEPT_SIDE + 1)
    except DataError:
        return None
    pixels = np.asarray(image)
    return _Probe(image.size, bool((pixels == pixels[..., :1]).all()))


def _without_copies(pixels: Tensor) -> Tensor:
    """The pixels [N, 3, S, S] with one channel if all three are the same."""
    grey = all(torch.equal(pixels[:, 0], pixels[:, channel]) for channel in (1, 2))
    return pixels[:, :1].clone() if grey else pixels
