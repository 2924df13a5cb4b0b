"""Finds images that are copies of another one, by their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nars.data.pictures import Picture

__all__ = ["known_digest", "shared_pictures"]

_ORDER = ("train", "val", "test")
"""The splits; images of a later one should be in no earlier one."""

_UNKNOWN = ("", "unreadable")
"""Digests of pictures whose content is not known."""


def known_digest(picture: Picture) -> str | None:
    """The digest of a picture's content, None if that is not known."""
    return None if picture.digest in _UNKNOWN else picture.digest


def shared_pictures(splits: Mapping[str, Sequence[Picture]]) -> dict[str, str]:
    """A note for each split with pictures that are, byte for byte, those of a split before it."""
    seen: dict[str, tuple[str, str]] = {}
    notes = {}
    for split in _ORDER:
        pictures = [picture for picture in splits.get(split, ()) if known_digest(picture)]
        copies = [picture for picture in pictures if picture.digest in seen]
        if copies:
            original, name = seen[copies[0].digest]
            said = f"{copies[0].name} is {name} in {original}"
            count = f"{len(copies)} of its images are" if len(copies) > 1 else "1 of its images is"
            notes[split] = f"{count} in another split, too: {said}"
        for picture in pictures:
            seen.setdefault(picture.digest, (split, picture.name))
    return notes
