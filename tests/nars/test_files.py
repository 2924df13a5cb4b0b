from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nars.errors import RunError
from nars.files import cache_folder, is_first_to_say, saying_once, sha256_of, write_whole


@pytest.mark.parametrize(("content", "expected"), [("käse\n", "käse\n".encode()), (b"\x00\xff", b"\x00\xff")])
def test_writes_text_and_bytes_into_new_folders(
    tmp_path: Path, content: str | bytes, expected: bytes
) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_whole(path, content)
    assert path.read_bytes() == expected
    assert list(path.parent.iterdir()) == [path]


def test_replaces_and_keeps_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    path, plain = tmp_path / "file", tmp_path / "plain"
    write_whole(path, "old")
    write_whole(path, "new")
    plain.touch()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"^cannot write .*file: No space left on device$"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_killed_before_the_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old"


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot write"):
        write_whole(tmp_path, "text")


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("NARS_CACHE", "")
    assert cache_folder() == tmp_path / ".cache" / "nars"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "nars"
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "n"))
    assert cache_folder() == tmp_path / "n"


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea")  # FIPS 180-2, appendix B.1
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "gone")


def test_the_processes_of_a_search_say_a_thing_once() -> None:
    assert is_first_to_say("x")
    assert is_first_to_say("x")
    asking = "from nars.files import is_first_to_say as first; print(first('x'), first('y'), first('y'))"
    with saying_once():
        assert is_first_to_say("x")
        assert not is_first_to_say("x")
        said = subprocess.run(
            [sys.executable, "-c", asking], capture_output=True, text=True, check=True
        ).stdout
    assert said == "False True False\n"
    with saying_once():
        assert is_first_to_say("x")
    assert is_first_to_say("x")
    assert is_first_to_say("x")
