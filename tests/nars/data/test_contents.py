from __future__ import annotations

import os
from pathlib import Path

import pytest

from nars.data import cache, contents
from nars.data.contents import hashes


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(contents, "MANY", 2)
    monkeypatch.setattr(contents, "_SETTLED", -60.0)  # files of this second are as good as old ones
    (tmp_path / "set").mkdir()
    paths = [tmp_path / "set" / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text(f"content {path.name}")
    return paths


def test_files_are_read_once_until_they_change(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = contents._hash
    monkeypatch.setattr(contents, "_hash", lambda file: read.append(Path(file).name) or original(file))
    root = files[0].parent
    first = hashes(files, root)
    assert len(set(first)) == 3
    assert hashes(files, root) == first
    assert sorted(read) == ["a", "b", "c"]
    status = files[1].stat()
    files[1].write_text("Content b")  # of the same size and, next, of the same time
    os.utime(files[1], ns=(status.st_atime_ns, status.st_mtime_ns))
    changed = hashes(files, root)
    assert read[3:] == ["b"]
    assert [old == new for old, new in zip(first, changed, strict=True)] == [True, False, True]


def test_a_file_that_was_just_written_is_read_again(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_SETTLED", 60.0)
    hashes(files, files[0].parent)
    assert not list(cache.folder().glob("*.json"))


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 3}', '{"a": [1, 2]}'])
def test_a_memory_that_was_spoiled_is_ignored(files: list[Path], content: str) -> None:
    first = hashes(files, files[0].parent)
    (memory,) = cache.folder().glob("*.json")
    memory.write_text(content)
    assert hashes(files, files[0].parent) == first


def test_unreadable_files_and_folders_are_no_error(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files[0].unlink()
    monkeypatch.setenv("NARS_CACHE", str(files[1]))  # no folder
    found = hashes(files, files[0].parent)
    assert found[0] == "unreadable"
    assert len(found[1]) == 32
