"""Finds images that are copies of another one, by their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nars.data.pictures import Picture

__all__ = ["known_digest", "shared_images"]

_ORDER = ("train", "val", "test")
"""The splits; images of a later one should be in no earlier one."""

_UNKNOWN = ("", "unreadable")
"""Digests of pictures whose content is not known."""


def known_digest(picture: Picture) -> str | None:
    """The digest of a picture's content, None if that is not known."""
    return None if picture.digest in _UNKNOWN else picture.digest


def shared_images(splits: Mapping[str, Sequence[tuple[str, str | None]]]) -> dict[str, str]:
    """A note for each split with images that are, byte for byte, those of a split before it.

    A split has the name and the digest of each image, None if its content is not known.
    """
    seen: dict[str, tuple[str, str]] = {}
    notes = {}
    for split in _ORDER:
        known = [(name, digest) for name, digest in splits.get(split, ()) if digest]
        copies = [(name, digest) for name, digest in known if digest in seen]
        if copies:
            copy, digest = copies[0]
            original, name = seen[digest]
            said = f"{copy} is {name} in {original}"
            count = f"{len(copies)} of its images are" if len(copies) > 1 else "1 of its images is"
            notes[split] = f"{count} in another split, too: {said}"
        for name, digest in known:
            seen.setdefault(digest, (split, name))
    return notes
