"""The version of the code, so that the workers of a search can be held to the same."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

__all__ = ["code_version"]

_PACKAGES = ("nars", "search_spaces", "detector")
"""Packages whose sources decide what a worker does."""


@cache
def code_version() -> str:
    """Return the version of nars and a digest of its sources, such as ``0.1.0 (1a2b3c4d)``."""
    digest = hashlib.sha256()
    for name in _PACKAGES:
        spec = find_spec(name)
        for folder in spec.submodule_search_locations or () if spec else ():
            for file in sorted(Path(folder).rglob("*.py")):
                digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    try:
        number = version("nars")
    except PackageNotFoundError:
        number = "unknown"
    return f"{number} ({digest.hexdigest()[:8]})"
