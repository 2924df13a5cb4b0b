"""Values of YAML and JSON as they are written: a class called ``no`` is not False, nor ``010`` eight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nars.errors import DataError
from nars.foreign.limits import load_yaml
from nars.foreign.numbers import whole
from nars.foreign.text import lines, read_text

__all__ = ["ABSENT", "class_name", "names_by_line", "numbered_names", "read_json", "read_yaml"]

ABSENT = ("", "~", "null", "Null", "NULL", "None")
"""Texts of a YAML value that is not there."""


def read_yaml(path: Path) -> Any:
    """A YAML file whose scalars all are text as written. Raises `DataError` that names file and line."""
    text = read_text(path)
    try:
        return load_yaml(text, as_text=True)
    except ValueError as error:
        raise DataError(f"{path}: cannot be read: {str(error)[:160]}") from None


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises `DataError` for other text, `ValueError` for other JSON."""
    return json.loads(read_text(path))


def class_name(value: object, what: str = "name") -> str:
    """The name of a class as a JSON or YAML file has it. Raises `ValueError` for what is no name."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"{what} is {json.dumps(value)[:40]}, not a text")
    if not value.strip():
        raise ValueError(f"{what} is empty")
    return value


def numbered_names(names: object, path: Path) -> dict[int, str]:
    """Class names by number: of a list, or of a mapping from numbers. Raises `DataError`."""
    rule = "names must be a list of class names, or a mapping from 0, 1, ... to names"
    try:
        if isinstance(names, list) and names:
            named = dict(enumerate(names))
        elif isinstance(names, dict) and names:
            named = {whole(number, "a key of names"): name for number, name in names.items()}
        elif isinstance(names, str) and names.strip(" []"):  # "a, b" without brackets
            named = dict(enumerate(name.strip() for name in names.strip(" []").split(",")))
        else:
            raise ValueError("there are none")
        if any(number < 0 for number in named):
            raise ValueError("a key is negative")
        return {number: class_name(name, f"name {number}") for number, name in named.items()}
    except ValueError as error:
        raise DataError(f"{path}: {rule}: {error}") from None


def names_by_line(path: Path) -> dict[int, str]:
    """Class names by the number of their line, from 0; a blank line names none. Raises `DataError`."""
    numbered = enumerate(map(str.strip, lines(read_text(path))))
    return numbered_names({number: name for number, name in numbered if name}, path)
