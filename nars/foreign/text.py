"""The one reader of foreign text: UTF-8 with or without a byte order mark, UTF-16 and UTF-32.

A file of another encoding is refused in one line that names the byte; XML may declare its encoding.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from nars.errors import DataError
from nars.foreign.paths import read_bytes

__all__ = ["decoded", "lines", "read_lines", "read_text", "xml_text"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks and the encodings that they stand for."""

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["'][^>]*\?>""")
"""The declaration of an XML file that names its encoding."""

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
"""The same once it is text, whatever it names."""

_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "gb_2312-80": "gb18030", "latin-1": "cp1252"}
"""Encodings that editors declare, and the larger ones that they write."""


def read_text(path: Path) -> str:
    """The text of a file without its byte order mark. Raises `DataError` that names file and byte."""
    try:
        content = read_bytes(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    return decoded(content, path)


def read_lines(path: Path) -> list[str]:
    """The lines of a file that are not blank, without white space around them. Raises `DataError`."""
    return [line.strip() for line in lines(read_text(path)) if line.strip()]


def decoded(content: bytes, path: Path | str) -> str:
    """The text of the bytes of a file. Raises `DataError` that names file and byte."""
    encoding, start = _encoding(content)
    try:
        return content[start:].decode(encoding)
    except UnicodeDecodeError as error:
        byte = error.start + start
        raise DataError(
            f"cannot read {path}: byte {byte} (0x{content[byte]:02x}) is not {encoding.upper()}; "
            "save the file as UTF-8"
        ) from None


def lines(text: str) -> list[str]:
    r"""Lines that end in ``\n``, ``\r\n`` or ``\r``, and at no other character, which names may hold."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def xml_text(content: bytes, path: Path | str) -> str:
    """The text of an XML file in the encoding that it declares, without the declaration.

    Raises `DataError` for bytes that are not of that encoding, and for an unknown one.
    """
    declared = _DECLARED.match(content)
    if declared is None:
        return _DECLARATION.sub("", decoded(content, path), count=1)
    name = declared[1].decode("ascii").lower()
    try:
        return _DECLARATION.sub("", content.decode(_SUPERSETS.get(name, name)), count=1)
    except LookupError:
        raise DataError(f"{path}: is not XML of a known encoding: {name}; save it as UTF-8") from None
    except UnicodeError as error:
        byte = getattr(error, "start", 0)
        raise DataError(f"{path}: byte {byte} is not {name}, which it declares; save it as UTF-8") from None


def _encoding(content: bytes) -> tuple[str, int]:
    """The encoding that a byte order mark or zero bytes give away, and how many bytes the mark has."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name, len(mark)
    head = content[:64]
    if len(head) > 3 and len(content) % 2 == 0 and b"\0" in head:
        odd, even = head[1::2].count(0), head[::2].count(0)
        if max(odd, even) > len(head) // 4:
            return ("utf-16-le" if odd > even else "utf-16-be"), 0
    return "utf-8", 0
