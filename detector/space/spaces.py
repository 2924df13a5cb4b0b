"""Finds the spaces of detectors by name, and a user's own by file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from detector.space.reference import DetectorReference
from detector.space.space import DetectorSpace
from nars.documents import is_yaml
from nars.errors import UsageError, closest

__all__ = ["DEFAULT", "KIND", "REFERENCE", "names", "space"]

KIND = DetectorSpace
"""The class of these spaces."""

REFERENCE = DetectorReference
"""The fine-tuning of a parent before a search."""

DEFAULT = "fbnetv3od"
"""The space of a detection search that names none."""


def names() -> list[str]:
    """The names of the spaces, in alphabetical order."""
    return sorted(
        Path(file.name).stem for file in resources.files(__package__).iterdir() if file.name.endswith(".yaml")
    )


def space(name_or_file: str) -> DetectorSpace:
    """A space of detectors by name, or from a YAML file. Raises `UsageError`, `SpecError`."""
    if is_yaml(name_or_file):
        return DetectorSpace.load(name_or_file)
    if name_or_file not in names():
        raise UsageError(f"no space {name_or_file!r}: {closest(name_or_file, names())} (or a .yaml file)")
    file = resources.files(__package__).joinpath(f"{name_or_file}.yaml")
    return DetectorSpace.from_yaml(file.read_text(encoding="utf-8"), file.name)
