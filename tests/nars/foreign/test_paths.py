from __future__ import annotations

import os
from pathlib import Path

import pytest

from nars.errors import DataError, UsageError
from nars.foreign.paths import allow, copied, inside, is_file, is_there, open_file, read_bytes


@pytest.fixture(autouse=True)
def _no_other_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARS_ALSO_FROM", "")


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        ("images/a.jpg", True),
        ("../train/images/a.jpg", True),
        ("images/../../train/a.jpg", True),
        ("../../a.jpg", False),
        ("../../../etc/passwd", False),
        ("/etc/passwd", False),
        ("images/../../../a.jpg", False),
    ],
)
def test_a_path_may_lead_up_to_the_folder_that_holds_the_data(
    tmp_path: Path, text: str, follows: bool
) -> None:
    data = tmp_path / "home" / "data"
    data.mkdir(parents=True)
    if follows:
        assert inside(data / text, data) == data / text
    else:
        with pytest.raises(DataError, match=r"leads out of the data set: allow it with --also-from /\S+$"):
            inside(data / text, data)


def test_an_absolute_path_into_the_data_set_is_followed(tmp_path: Path) -> None:
    assert inside(tmp_path / "a.jpg", tmp_path) == tmp_path / "a.jpg"


def test_a_folder_that_was_allowed_is_one_more(tmp_path: Path) -> None:
    data, other = tmp_path / "home" / "data", tmp_path / "other"
    for folder in (data, other):
        folder.mkdir(parents=True)
    with pytest.raises(DataError):
        inside(other / "a.jpg", data)
    allow([other])
    assert inside(other / "a.jpg", data) == other / "a.jpg"
    assert inside(data / "../../other/a.jpg", data) == data / "../../other/a.jpg"
    with pytest.raises(DataError):
        inside(tmp_path / "third" / "a.jpg", data)
    with pytest.raises(UsageError, match=r"^--also-from \S+third: no such folder$"):
        allow([tmp_path / "third"])


def test_a_link_is_followed_but_not_a_link_and_then_up(tmp_path: Path) -> None:
    data, far = tmp_path / "home" / "data", tmp_path / "far" / "deep" / "set"
    for folder in (data, far):
        folder.mkdir(parents=True)
    (data / "link").symlink_to(far)
    assert inside(data / "link" / "a.jpg", data) == data / "link" / "a.jpg"
    with pytest.raises(DataError, match="leads out"):
        inside(data / "link" / ".." / "a.jpg", data)


def test_only_what_is_inside_after_every_link_is_copied(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "secret").write_text("secret")
    (data / "a.jpg").write_text("own")
    (data / "link.jpg").symlink_to(tmp_path / "secret")
    (data / "own.jpg").symlink_to("a.jpg")
    assert copied(data / "own.jpg", data)
    for path in (data / "link.jpg", data / "../secret", tmp_path / "secret"):
        with pytest.raises(DataError, match="is not copied"):
            copied(path, data)


def test_a_pipe_is_refused_at_once_and_a_large_file_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="no regular file"):
            open_file(path)
    (tmp_path / "large").write_bytes(bytes(100))
    assert read_bytes(tmp_path / "large") == bytes(100)
    with pytest.raises(OSError, match="has more than 99 bytes"):
        read_bytes(tmp_path / "large", most=99)


@pytest.mark.parametrize("name", ["a\0b", "a" * 300, "a/" * 5000, "", "../" * 10, "missing"])
def test_a_name_that_no_file_can_have_has_none(tmp_path: Path, name: str) -> None:
    assert not is_file(tmp_path / name)
    assert not is_there(tmp_path / name / "inside")


def test_what_is_there_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "circle").symlink_to("circle")
    assert is_file(tmp_path / "link")
    assert is_there(tmp_path)
    assert not is_file(tmp_path)
    assert not is_file(tmp_path / "circle")
    assert not is_there(tmp_path / "circle")
