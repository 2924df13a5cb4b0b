"""Finds the spaces that come with nars by name, and a user's own by file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from nars.documents import is_yaml
from nars.errors import UsageError, closest
from nars.space import Space

__all__ = ["space", "space_names"]


def space_names() -> list[str]:
    """The names of the built-in spaces, in alphabetical order."""
    files = resources.files(__package__).iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def space(name_or_file: str | Path) -> Space:
    """A built-in space by name, or a user's own from a YAML file.

    Raises `UsageError` for an unknown name, `SpecError` for a file that breaks a rule.
    """
    text = str(name_or_file)
    if is_yaml(text):
        return Space.load(text)
    if text not in space_names():
        raise UsageError(f"no space {text!r}: {closest(text, space_names())} (or a .yaml file)")
    file = resources.files(__package__).joinpath(f"{text}.yaml")
    return Space.from_yaml(file.read_text(encoding="utf-8"), file.name)
