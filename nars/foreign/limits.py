"""Sizes that a file states are checked against these limits before anything is allocated or built.

Every limit is far above what the networks, spaces and data sets of this field need, and low enough for a
laptop: a file that states more is damaged, or made to harm.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from typing import Any

import yaml

__all__ = [
    "MOST_ANCHORS",
    "MOST_BLOCKS",
    "MOST_BYTES",
    "MOST_CELLS",
    "MOST_CHANNELS",
    "MOST_CHOICES",
    "MOST_CLASSES",
    "MOST_COORDINATE",
    "MOST_DOCUMENT",
    "MOST_EPOCHS",
    "MOST_EXPANSION",
    "MOST_INFLATED",
    "MOST_LINE",
    "MOST_MAP",
    "MOST_NOTE",
    "MOST_NUMBER",
    "MOST_PADDING",
    "MOST_PARAMETERS",
    "MOST_PIXELS",
    "MOST_PROPOSALS",
    "MOST_RECORDS",
    "MOST_ROWS",
    "MOST_SEED",
    "MOST_SETTING",
    "MOST_SIDE",
    "MOST_TENSORS",
    "MOST_VALUES",
    "check_inflated",
    "check_table",
    "load_yaml",
]

MOST_CHANNELS = 2**14
"""Channels of a layer."""

MOST_BLOCKS = 2000
"""Single blocks of a network, those of repeated rows counted one by one."""

MOST_SIDE = 2**13
"""Pixels of the side of a network's input."""

MOST_MAP = 2**28
"""Values of the largest map of a network for one image: a gigabyte."""

MOST_PARAMETERS = 2**29
"""Parameters of a network: two gigabytes."""

MOST_CLASSES = 2**20
"""Outputs of a classifier or of a detector, and classes of a data set."""

MOST_EXPANSION = 64
"""Factor from the channels of a block to its hidden ones."""

MOST_PADDING = 64
"""Pixels that a convolution may be padded by."""

MOST_ANCHORS = 256
"""Anchors at a cell of a map of a detector: its sizes times its ratios."""

MOST_PROPOSALS = 10**5
"""Regions of an image that a detector keeps or samples."""

MOST_CELLS = 64
"""Cells of the side of a region that the heads of a detector take."""

MOST_SETTING = 1e6
"""A number of a recipe or of a detector that is neither a size nor a count."""

MOST_EPOCHS = 10**6
"""Epochs of a training."""

MOST_SEED = 2**32 - 1
"""The largest seed that every generator takes."""

MOST_NUMBER = 2**53
"""Magnitude of a number in a space or in the record of a trial: up to it, floats are exact for integers."""

MOST_ROWS = 256
"""Rows of blocks of a space."""

MOST_CHOICES = 1024
"""Choices of a dimension."""

MOST_VALUES = 10**6
"""Values in a YAML file, those that aliases repeat counted each time."""

MOST_INFLATED = 2**30
"""Bytes that the files of an archive may have together, unless the archive itself has a tenth of that."""

MOST_BYTES = 2**31
"""Bytes of a file that is read whole."""

MOST_TENSORS = 2**34
"""Bytes of a file of tensors."""

MOST_DOCUMENT = 2**26
"""Bytes of a YAML document of nars."""

MOST_NOTE = 10_000
"""Bytes of a file that holds a line or two, such as the place of a storage."""

MOST_LINE = 2**26
"""Bytes of a line of a journal."""

MOST_PIXELS = 2**28
"""Pixels of a picture: those of the largest phone cameras, and less than a gigabyte of RGB."""

MOST_COORDINATE = 1e5
"""A coordinate of a box or of a polygon, in pixels: above any real picture, below what exhausts a memory."""

MOST_RECORDS = 10**6
"""Rows of a table, unless its file has as many bytes."""

_DEEPEST = 100
"""Lists and mappings inside of each other."""

_LONG = 2**17
"""Characters of a text above which the parser in C is used, whose messages are others."""


def check_inflated(entries: Iterable[zipfile.ZipInfo], size: int) -> None:
    """Check what an archive of `size` bytes says its files have. Raises `ValueError`."""
    stated = sum(entry.file_size for entry in entries)
    if stated > max(MOST_INFLATED, 10 * size):
        raise ValueError(f"its {size} bytes would become {stated}, more than is unpacked")


def check_table(rows: int, stated: int, size: int) -> None:
    """Check what a table in a file of `size` bytes says it has: rows, and bytes once it is unpacked.

    Raises `ValueError`.
    """
    if rows > max(MOST_RECORDS, size):
        raise ValueError(f"its {size} bytes would become {rows} rows, more than is unpacked")
    if stated > max(MOST_INFLATED, 10 * size):
        raise ValueError(f"its {size} bytes would become {stated}, more than is unpacked")


def load_yaml(text: str, *, as_text: bool = False) -> Any:
    """Parse YAML into plain values, or leave every scalar as the text that is written.

    Raises `ValueError` in one line, also for aliases that multiply.
    """
    loader: Any = yaml.BaseLoader if as_text else yaml.SafeLoader
    try:
        if len(text) > _LONG:
            loader = getattr(yaml, f"C{loader.__name__}", loader)
            _check_depth(text, loader)
        tree = yaml.load(text, Loader=loader)
        if _values(tree, 0, {}) > MOST_VALUES:
            raise ValueError(f"has more than {MOST_VALUES} values once its aliases are followed")
    except RecursionError:
        raise ValueError("its lists are nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
    return tree


def _check_depth(text: str, loader: Any) -> None:
    """Raise `ValueError` for lists on which the parser in C, which calls itself, would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise ValueError("its lists are nested too deeply")


def _values(node: Any, depth: int, known: dict[int, int]) -> int:
    """Count the values of a tree in which an alias is the same object again."""
    if not isinstance(node, dict | list):
        return 1
    if depth > _DEEPEST:
        raise ValueError("its lists are nested too deeply, or hold themselves")
    if id(node) not in known:
        inner = node.values() if isinstance(node, dict) else node
        known[id(node)] = 1 + sum(_values(value, depth + 1, known) for value in inner)
    return known[id(node)]
