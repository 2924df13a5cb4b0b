from __future__ import annotations

from pathlib import Path

import pytest

from nars.errors import UsageError
from nars.runs.passwords import VARIABLE, complete, given, without_password

SECRET = "postgresql://me:hunter2@db/name"
CLEAN = "postgresql://me@db/name"


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        (SECRET, CLEAN),
        ("mysql+pymysql://me:p%40ss@db:3306/x?charset=utf8", "mysql+pymysql://me@db:3306/x?charset=utf8"),
        ("postgresql://db/name?user=me&password=hunter2", "postgresql://db/name?user=me"),
        ("redis://:hunter2@host:6379/0", "redis://@host:6379/0"),
        (CLEAN, CLEAN),
        ("postgres://me:hunter2@db/name", CLEAN),
        ("postgres://me@db/name", CLEAN),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("runs/x/study.journal", "runs/x/study.journal"),
    ],
)
def test_a_url_loses_its_password_and_nothing_else(url: str, clean: str) -> None:
    assert without_password(url) == clean


def test_a_password_on_the_command_line_works_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    assert given(SECRET) == CLEAN
    assert complete(CLEAN) == SECRET
    assert "PGPASSWORD" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("url", [CLEAN, "postgres://me@db/name"])
def test_a_url_without_a_password_is_not_warned_of(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert given(url) == CLEAN
    assert caplog.text == ""
    assert complete(CLEAN) == CLEAN


def test_the_environment_and_a_file_name_a_storage_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(SECRET + "\n")
    assert given(f"@{tmp_path / 'url'}") == CLEAN
    assert complete(CLEAN) == SECRET
    monkeypatch.setenv(VARIABLE, SECRET)
    assert given(None) == CLEAN
    assert complete("postgresql://me@other/name") == "postgresql://me@other/name"
    assert caplog.text == ""
    with pytest.raises(UsageError, match="No such file"):
        given(f"@{tmp_path / 'none'}")


def test_without_any_there_is_none() -> None:
    assert given(None) is None
