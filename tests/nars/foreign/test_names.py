"""Names and messages of any length."""

from __future__ import annotations

import pytest

from nars.foreign.names import one_line, split_of


def test_a_message_is_one_line_that_a_terminal_can_show() -> None:
    assert one_line("a\n b\t\x1b[2Jc") == "a b \\x1b[2Jc"
    assert one_line("x" * 900) == "x" * 900
    line = one_line("begin " + "x" * 10**6 + " end")
    assert line.startswith("begin x")
    assert line.endswith("x end")
    assert "[...]" in line
    assert len(line) < 800


@pytest.mark.parametrize("letter", ["a", "-", "_9", "\\"])
def test_a_name_of_thousands_of_letters_is_no_split(letter: str) -> None:
    assert split_of("train" + letter * 100_000) is None  # at once: the search in it would take minutes
    assert split_of("train_images") == "train"
