"""How many classes a network is counted for."""

from __future__ import annotations

__all__ = ["COCO", "IMAGENET", "classes_to_count"]

IMAGENET, COCO = 1000, 80
"""Classes of the data sets that networks and detectors are published for."""


def classes_to_count(given: int | None, recorded: int | None, default: int) -> tuple[int, str]:
    """The number of ``--classes``, else that which a file records, else `default`; and why it is taken."""
    if given is not None:
        return given, ""
    if recorded is not None:
        return recorded, ", as its search"
    return default, "; give yours with --classes"
