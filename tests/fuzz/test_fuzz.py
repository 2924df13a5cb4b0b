"""A few dozen hostile files of every kind; `python -m experiments.fuzz` judges thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.fuzz.judge import SECRET, Kind, judge
from experiments.fuzz.run import KINDS, tally


@pytest.mark.parametrize("name", sorted(KINDS))
def test_no_hostile_file_of_a_kind_does_harm(name: str) -> None:
    result = tally(KINDS[name], examples=20)
    assert result.cases >= 12
    assert {fault: result.examples[fault] for fault in result.faults} == {}


def _read(folder: Path) -> object:
    return (folder / "a").read_bytes()


def _write(folder: Path) -> object:
    return (folder.parent / "b").write_text("x")


def _copy(folder: Path) -> object:
    return Path("copy").write_bytes((folder / "../../outside/secret.png").read_bytes())


def _print(folder: Path) -> None:
    print((folder / "../../outside/secret.png").read_text(errors="replace"))


def _take(folder: Path) -> object:
    return bytes(2**33)


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        (_read, None),
        (_write, "wrote b"),
        (_copy, "copied a file from outside into copy"),
        (_print, "the content of a file outside is printed"),
        (_take, "MemoryError at outside of our code"),
        (lambda folder: 1 // 0, "ZeroDivisionError at outside of our code"),
    ],
)
def test_the_judge_sees_each_kind_of_harm(read: object, fault: str | None) -> None:
    assert callable(read)
    assert judge(Kind("any", None, read), {"a": b"x"}).fault == fault
    assert b"secret" in SECRET
