"""Columns of boxes in a table, whatever they are called: corners, a corner and a size, or one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nars.data.readers.columns import Column, named

__all__ = ["all_of", "box_columns"]

_CORNERS = (
    ("xmin", "x1", "left", "xtl", "bboxxmin", "bboxx1"),
    ("ymin", "y1", "top", "ytl", "bboxymin", "bboxy1"),
    ("xmax", "x2", "right", "xbr", "bboxxmax", "bboxx2"),
    ("ymax", "y2", "bottom", "ybr", "bboxymax", "bboxy2"),
)
"""Names of the columns of the corners of a box, as `nars.data.readers.columns.plain` makes them."""

_SIZES = (
    (*_CORNERS[0], "bboxx", "bboxleft", "boxx", "x"),
    (*_CORNERS[1], "bboxy", "bboxtop", "boxy", "y"),
    ("bboxwidth", "bboxw", "boxwidth", "w", "width"),
    ("bboxheight", "bboxh", "boxheight", "h", "height"),
)
"""The same of a corner and a size."""

_LIST = ("bbox", "box", "boundingbox")
"""Names of a column with all four numbers: left, top, width and height."""


def box_columns(columns: Mapping[str, Column]) -> tuple[tuple[Column, ...], bool]:
    """The four columns of a box, or the one of its list, and whether they are corners; no column without."""
    corners = all_of(columns, _CORNERS)
    if corners:
        return corners, True
    only = named(columns, _LIST)
    return all_of(columns, _SIZES) or (() if only is None else (only,)), False


def all_of(columns: Mapping[str, Column], names: Sequence[Sequence[str]]) -> tuple[Column, ...]:
    """The columns with these names, or none if one is not there."""
    found = [named(columns, each) for each in names]
    return tuple(column for column in found if column is not None) if None not in found else ()
