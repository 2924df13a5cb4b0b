from __future__ import annotations

import logging

import pytest
from rich.table import Table

from nars.cli import main
from nars.cli.console import add_rows, plain_console, print_table, telling


def test_names_are_printed_as_they_are_and_move_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("class", title="set of \x1b[2J[red]")
    table.add_row("cat \x1b[31m:smile: [bold]\u202e")
    plain_console(soft_wrap=True).print(table)
    plain_console(soft_wrap=True).print("line one \x07\nline two")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"cat \x1b[31m:smile: [bold]\u202e" in shown
    assert r"set of \x1b[2J[red]" in shown
    assert "line one \\x07\nline two\n" in shown


def test_the_title_of_a_table_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a")
    table.add_row("b")
    print_table(plain_console(), "a title that is wider than its table " * 4, table)
    assert capsys.readouterr().out.startswith("a title that is wider than its table " * 4 + "\n")


def test_a_warning_prints_no_control_characters(capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody else handles it, so that the last resort does, as on the command line."""
    assert main(["spaces"]) == 0
    logger = logging.Logger("alone")
    logger.warning("left out: %s", "a\x1b[2J\x07.png")
    assert "left out: a\\x1b[2J\\x07.png\n" in capfd.readouterr().err


def test_the_table_of_a_million_classes_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("class", "images")
    add_rows(table, [f"c{number}" for number in range(10**6)], lambda name: [name[1:]])
    plain_console().print(table)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 1010
    assert any("and 999000 more; --json has all" in line for line in lines)


def test_progress_is_printed_while_a_command_tells_it(capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("nars.anything")
    handlers, root = logging.root.handlers[:], logging.root
    root.handlers.clear()  # those of pytest
    try:
        logger.info("before")
        with telling():
            logger.info("within")
            logging.getLogger("other").info("of others")
        logger.info("after")
    finally:
        root.handlers.extend(handlers)
    assert capfd.readouterr().err == "within\n"
