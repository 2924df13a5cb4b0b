"""Fonts that have the characters of a user's names, and an honest substitute for characters that none has."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

__all__ = ["Font", "drawable", "font_with"]

logger = logging.getLogger(__name__)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
"""Fonts that Pillow may load by default."""

_FAMILIES = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Hiragino Sans",
    "Malgun Gothic",
    "Arial Unicode MS",
)
"""Families with many characters: the one that comes with Matplotlib, and those of common systems."""


def font_with(text: str, font: Font) -> tuple[str, Font]:
    """The text and a font of the same size that has its characters; without one, the text as escapes."""
    if text.isascii():
        return text, font
    found = _covering(text)
    if found is None:
        return _escaped(text), font
    return text, ImageFont.truetype(found[1], getattr(font, "size", 12))


def drawable(name: str) -> str:
    """A name as Matplotlib draws it as it is: with a font that has its characters, and no formula in it."""
    if not name.isascii():
        found = _covering(name)
        if found is None:
            name = _escaped(name)
        elif found[0] not in mpl.rcParams["font.sans-serif"]:
            mpl.rcParams["font.sans-serif"] = [*mpl.rcParams["font.sans-serif"], found[0]]
    return name.replace("$", r"\$")


@cache
def _covering(text: str) -> tuple[str, str] | None:
    """The family and the file of a font that has every character; None, and a warning, without one."""
    files = {entry.name: entry.fname for entry in reversed(fontManager.ttflist) if entry.style == "normal"}
    for family in _FAMILIES:
        file = files.get(family)
        if file is not None and Path(file).exists() and _has(file, text):
            return family, file
    logger.warning("no font here has the characters of %r, drawn as their codes; one is Noto Sans CJK", text)
    return None


def _has(file: str, text: str) -> bool:
    font = FT2Font(file)
    return all(font.get_char_index(ord(character)) for character in text)


def _escaped(text: str) -> str:
    """The text with the codes of characters that are not ASCII."""
    return text.encode("ascii", "backslashreplace").decode()
