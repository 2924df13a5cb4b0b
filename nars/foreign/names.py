"""Names as other systems and people write them: words for splits, leftovers of systems, paths of files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from nars.errors import DataError

__all__ = ["check_alone", "folded", "is_leftover", "one_line", "parts_of", "printable", "split_of"]

_WORDS = {
    "train": ("train", "training", "trn", "trainset", "traindata"),
    "val": ("val", "valid", "validation", "validate", "valset", "validset", "valdata", "dev", "devel"),
    "test": ("test", "testing", "tst", "testset", "testdata", "evaluation"),
}
"""Words for each split; `split_of` takes them in any case, with a year or ``_set`` behind."""

_BEHIND = re.compile(r"[\W_]*(?:19|20)?\d{2}$|[\W_]+(?:set|data|dataset|images|imgs|split|part|folder)$")
"""Ends of a split's name that add nothing: ``train2017``, ``test_images``."""

_LONGEST_SPLIT = 64
"""Characters of the longest name that can be a split's; the search in longer ones takes seconds."""

_LEFTOVERS = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"}
    | {"system volume information", "icon\r"}
)
"""Names that systems leave beside a user's files, in small letters."""


_LONGEST_LINE = 900
"""Characters of a message that is shown whole."""


@lru_cache(1024)  # a table has the word of each of its rows
def split_of(name: str) -> str | None:
    """The split that a folder or file is called by: train, val, test, or None."""
    word = name.strip().casefold()
    if len(word) > _LONGEST_SPLIT:
        return None
    for candidate in (word, _BEHIND.sub("", word)):
        for split, words in _WORDS.items():
            if candidate in words:
                return split
    return None


def check_alone(split: str, folder: Path, others: Mapping[str, Path]) -> None:
    """Raise `DataError` if one of the folders by split is that split, too."""
    if split in others:
        raise DataError(f"{others[split]} and {folder} both are {split}: put them into one folder")


def is_leftover(name: str) -> bool:
    """Whether a file or folder is a system's and not the user's: hidden, ``._*``, ``__MACOSX``."""
    return name.startswith(".") or name.casefold() in _LEFTOVERS


def folded(name: str) -> str:
    """A name without what systems change: its case, and how they compose letters with accents."""
    return unicodedata.normalize("NFC", name).casefold()


def parts_of(name: str) -> tuple[str, ...]:
    """The folders and the file of a path of any system, without a drive, ``.`` and ``..``.

    An address gives its path, and that of Label Studio's local files the file that it asks for.
    """
    text = name.strip()
    if "?d=" in text:
        text = "/".join(parse_qs(urlsplit(text).query).get("d", [text]))
    elif re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        text = unquote(urlsplit(text).path)
    text = re.sub(r"^[A-Za-z]:(?=[\\/])", "", text).replace("\\", "/")
    return tuple(part for part in text.split("/") if part not in ("", ".", ".."))


def one_line(text: str) -> str:
    """Text as one line that a terminal can show; the middle of a very long one is left out."""
    line = printable(" ".join(text.split()))
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[: _LONGEST_LINE // 2]} [...] {line[-_LONGEST_LINE // 3 :]}"


def printable(text: str) -> str:
    """Text that can be printed in a line: what cannot be shown is written as an escape."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
