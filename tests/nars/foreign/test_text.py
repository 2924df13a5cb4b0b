"""Text of editors and systems that do not write plain UTF-8."""

from __future__ import annotations

from pathlib import Path

import pytest

from nars.errors import DataError
from nars.foreign.text import read_lines, read_text, xml_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marks_are_heeded_and_left_out(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes("rød\r\n\r\n 猫 \n".encode(encoding))
    assert read_lines(path) == ["rød", "猫"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("0 0.5 0.5".encode(encoding))
    assert read_text(path) == "0 0.5 0.5"


@pytest.mark.parametrize(
    ("content", "words"), [("红色".encode("gbk"), "byte 0 (0xba)"), (b"caf\xe9", "byte 3 (0xe9)")]
)
def test_another_encoding_is_one_line_with_file_and_byte(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_text(path)
    assert f"{path}: " in str(caught.value)
    assert words in str(caught.value)
    assert "UTF-8" in str(caught.value)


def test_names_may_hold_characters_that_python_takes_for_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a\u2028b\x0bc.jpg\nd", encoding="utf-8")
    assert read_lines(path) == ["a\u2028b\x0bc.jpg", "d"]


@pytest.mark.parametrize("name", ["gb2312", "GBK", "big5", "windows-1252", "shift_jis", "utf-8", "UTF-16"])
def test_xml_is_read_as_it_declares(name: str) -> None:
    text = "é" if name == "windows-1252" else "a" if name == "UTF-16" else "山"
    content = f'<?xml version="1.0" encoding="{name}"?>\n<name>{text}</name>'.encode(name)
    assert xml_text(content, "a.xml").strip() == f"<name>{text}</name>"


def test_gb2312_often_holds_more_than_it_may() -> None:
    content = '<?xml version="1.0" encoding="gb2312"?><n>镕</n>'.encode("gbk")
    assert xml_text(content, "a.xml") == "<n>镕</n>"


@pytest.mark.parametrize("name", ["no-such", "rot13", "base64"])
def test_an_encoding_that_is_none_is_named(name: str) -> None:
    with pytest.raises(DataError, match=name):
        xml_text(f'<?xml version="1.0" encoding="{name}"?><a/>'.encode(), "a.xml")


def test_bytes_against_the_declaration_are_named() -> None:
    with pytest.raises(DataError, match="which it declares"):
        xml_text(b'<?xml version="1.0" encoding="utf-8"?><a>\xff</a>', "a.xml")
