"""Class folders that several tests of data read and spoil."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import colour


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten pictures, each of one red level of its own."""
    for index in range(10):
        colour(tmp_path / "set" / "cat" / f"{index}.png", index)
        colour(tmp_path / "set" / "dog" / "deep" / f"{index}.png", 100 + index)
    return tmp_path / "set"
