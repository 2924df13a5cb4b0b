"""Files of a data set: listed without a system's leftovers, and found by names from another system."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from nars.foreign.names import folded, is_leftover, parts_of

__all__ = ["Finder", "Listing", "folders", "listing"]


@dataclass
class Listing:
    """Files below a folder with the suffixes asked for, in order, and what was passed over."""

    files: list[Path] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    """How many files were passed over, by suffix or reason."""


def folders(path: Path) -> list[Path]:
    """The folders in a folder in order, without leftovers of a system. Raises `OSError`."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not is_leftover(entry.name))


def listing(folder: Path, suffixes: Collection[str], *, deep: bool = True) -> Listing:
    """Files of a folder and, if `deep`, below it; linked folders are followed, but not in a circle."""
    found = Listing()
    for file in _walk(folder, found.passed, deep):
        suffix = file.suffix.lower()
        if suffix in suffixes:
            found.files.append(file)
        else:
            found.passed[suffix or "no suffix"] += 1
    found.files.sort()
    return found


def _walk(folder: Path, passed: Counter[str], deep: bool) -> Iterator[Path]:
    above: dict[Path, frozenset[tuple[int, int] | None]] = {}
    for name, inside, files in os.walk(folder, followlinks=True):
        where = Path(name)
        here = above.get(where, frozenset()) | {_identity(where)}
        kept = []
        for entry in inside if deep else ():
            if is_leftover(entry):
                passed["leftovers of a system"] += 1
            elif _identity(where / entry) not in here:
                above[where / entry] = here
                kept.append(entry)
        inside[:] = kept
        for entry in files:
            if is_leftover(entry):
                passed["leftovers of a system"] += 1
            else:
                yield where / entry


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""Eight digits that Label Studio puts before the name of each picture that is uploaded."""


class Finder:
    """Finds files below a folder by names that another system, machine or tool wrote."""

    def __init__(self, root: Path, suffixes: Collection[str], named: Sequence[str] = ()) -> None:
        """`named` are all names that the data set states: their files are meant by them, and by no other."""
        self.root = root
        self.suffixes = suffixes
        self.named = named

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[str, ...]]]:
        """Files below the root by their names, as parts of their relative paths."""
        index: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        if self.root.is_dir():
            for file in listing(self.root, self.suffixes).files:
                parts = file.relative_to(self.root).parts
                index[folded(parts[-1])].append(parts)
        return index

    @cached_property
    def _by_stem(self) -> dict[str, list[tuple[str, ...]]]:
        index: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for name, options in self._by_name.items():
            index[name.rpartition(".")[0]] += options
        return index

    @cached_property
    def _unclaimed(self) -> list[str]:
        """The names of files that nothing in the data set states."""
        claimed = {folded(parts[-1]) for parts in map(parts_of, self.named) if parts}
        return [name for name in self._by_name if name not in claimed]

    def find(self, name: str, below: Sequence[str] = ()) -> Path | None:
        """The file that `name` means, relative to the root; None if there is none, or if several fit.

        It is the file of that name, with or without its suffix, whose folders agree best, from the last one
        up, in any case; files `below` folders come first.
        """
        parts = parts_of(name)
        if not parts:
            return None
        keys = [folded(parts[-1]), folded(unquote(parts[-1]))]
        keys += [_PREFIX.sub("", key) for key in keys]
        options = next((self._by_name[key] for key in keys if key in self._by_name), [])
        if not options and not parts[-1].lower().endswith(tuple(self.suffixes)):
            options = self._by_stem.get(keys[0], [])
        inside = [option for option in options if option[: len(below)] == tuple(below)]
        options = inside or options
        if len(options) > 1:
            ranks = [_agreement(option, parts) for option in options]
            options = [option for option, rank in zip(options, ranks, strict=True) if rank == max(ranks)]
        return Path(*options[0]) if len(options) == 1 else None

    def near(self, name: str) -> str | None:
        """A sentence about files that `name` may mean: equal names, the same stem, or a typing error away.

        The latter two are files that no other name of the data set means. Another number is another file.
        """
        parts = parts_of(name)
        if not parts:
            return None
        key = folded(parts[-1])
        same = self._by_name.get(key, [])
        if same:
            return f"{len(same)} files are called so: {', '.join('/'.join(option) for option in same[:2])}"
        stem = key.rpartition(".")[0] or key
        close = [name for name in self._unclaimed if name.rpartition(".")[0] == stem]
        numbered = [name for name in self._unclaimed if _numbers(name) == _numbers(key)]
        close = close or get_close_matches(key, numbered, 1, 0.8)
        return f"there is {'/'.join(self._by_name[close[0]][0])}" if close else None


def _numbers(name: str) -> list[str]:
    """The numbers in a name, without leading zeros."""
    return [digits.lstrip("0") for digits in re.findall(r"\d+", name)]


def _agreement(option: tuple[str, ...], parts: tuple[str, ...]) -> tuple[int, int]:
    """How many parts agree from the end, in any case and exactly."""
    exact = folding = 0
    for position, (mine, theirs) in enumerate(zip(reversed(option), reversed(parts), strict=False)):
        if folded(mine) != folded(theirs) and position:
            break
        folding += 1
        exact += mine == theirs
    return folding, exact
