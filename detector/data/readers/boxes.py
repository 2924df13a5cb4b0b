"""Rows of a table of boxes, whatever its columns are called: corners, a corner and a size, or one list.

filename,width,height,class,xmin,ymin,xmax,ymax     TensorFlow, Roboflow, LabelFlow
ImageID,LabelName,XMin,XMax,YMin,YMax               Open Images, in fractions of the image
image_id,width,height,bbox                          Kaggle: "[left, top, width, height]"
label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height
NAME,x1,y1,x2,y2,CLASS                              RetinaNet, without a head
CLASS,left,top,width,height,NAME,width,height       Make Sense, without a head
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nars.data.pictures import SUFFIXES
from nars.data.readers.box_columns import all_of, box_columns
from nars.data.readers.columns import IMAGE, LABEL, SPLIT, Column, head_of, named, read_columns
from nars.errors import DataError
from nars.foreign.names import split_of
from nars.foreign.numbers import real, whole

__all__ = ["BoxRow", "box_rows", "is_of_boxes"]

_SIDES = (("imagewidth", "imgwidth", "width"), ("imageheight", "imgheight", "height"))
"""Names of the columns of the size of an image."""

_CROWD = ("isgroupof", "iscrowd", "difficult")
"""Names of columns that mark a region of many objects, or one that is not to be found."""

_TRUE = ("1", "1.0", "true", "yes")
"""Values of such a column that are true, in lower case: Excel writes TRUE, pandas 1.0 beside empty fields."""

_HEADLESS = {
    6: ("filename", "xmin", "ymin", "xmax", "ymax", "class"),
    8: ("class", "bboxx", "bboxy", "bboxwidth", "bboxheight", "filename", "imagewidth", "imageheight"),
}
"""Columns of tables without a head, by how many there are."""

_ONLY_CLASS = "object"
"""The class of boxes in a table without classes."""


class BoxRow(NamedTuple):
    """A row of a table: `box` is left, top, width, height as they are in the file, None for a bare image."""

    number: int
    """The row, counted from 1 below the head."""
    image: str
    split: str | None
    label: str
    box: tuple[float, float, float, float] | None
    size: tuple[int, int]
    """Width and height of the image; 0, 0 if they are not stated."""
    crowd: bool


class _Layout(NamedTuple):
    """The columns of a table of boxes by their meaning."""

    image: Column
    label: Column | None
    split: Column | None
    box: tuple[Column, ...]
    are_corners: bool
    sides: tuple[Column, ...]
    crowd: Column | None


def is_of_boxes(file: Path) -> bool:
    """Whether a CSV has columns of images and boxes, or rows of such without a head."""
    try:
        head = head_of(file)
    except DataError:
        return False
    columns = {name.lower(): Column(file, name, ()) for name in _names(head)}
    return _layout(columns) is not None


def box_rows(file: Path) -> Iterator[BoxRow | tuple[int, str]]:
    """Yield the rows of a table and, in the place of one that cannot be used, its number and the reason.

    Raises `DataError` for a table that cannot be read.
    """
    names = _names(head_of(file))
    columns = read_columns(file, names if names != head_of(file) else None)
    layout = _layout(columns)
    assert layout is not None, "only tables that `is_of_boxes` has seen are read"
    for position in range(len(layout.image.values)):
        try:
            yield _row(layout, position)
        except (ValueError, DataError) as error:
            yield position + 1, str(error).removeprefix(f"{file}, ")


def _names(head: Sequence[str]) -> Sequence[str]:
    """The names of the columns: the head or, of a table without one, those that its first row fits."""
    names = _HEADLESS.get(len(head))
    if names is None:
        return head
    row = dict(zip(names, head, strict=True))
    image, numbers = row.pop("filename"), [value for name, value in row.items() if name != "class"]
    is_row = image.lower().endswith(tuple(SUFFIXES)) and all(map(_is_number, numbers))
    return names if is_row else head


def _is_number(text: str) -> bool:
    try:
        return not text or bool(real(text, "") or True)
    except ValueError:
        return False


def _layout(columns: Mapping[str, Column]) -> _Layout | None:
    image = named(columns, ("filename", *IMAGE))
    box, are_corners = box_columns(columns)
    if image is None or not box or image in box:
        return None
    sides = all_of({name: column for name, column in columns.items() if column not in box}, _SIDES)
    label = named(columns, ("classname", "labelname", *LABEL))
    return _Layout(image, label, named(columns, SPLIT), box, are_corners, sides, named(columns, _CROWD))


def _row(layout: _Layout, position: int) -> BoxRow:
    """The row at a position. Raises `ValueError` or `DataError`."""
    split = None
    if layout.split is not None and (word := _text(layout.split, position)):
        split = split_of(word)
        if split is None:
            raise ValueError(f"row {position + 1}: no split {word!r}: train, val or test")
    box = _box(layout, position)
    label = _ONLY_CLASS
    if layout.label is not None and box is not None:
        label = layout.label.text(position)
    size = [whole(_text(side, position) or 0, f"row {position + 1}: {side.name}") for side in layout.sides]
    width, height = size if len(size) == 2 and min(size) > 0 else (0, 0)
    crowd = layout.crowd is not None and _text(layout.crowd, position).lower() in _TRUE
    return BoxRow(position + 1, layout.image.text(position), split, label, box, (width, height), crowd)


def _box(layout: _Layout, position: int) -> tuple[float, float, float, float] | None:
    """The box of a row, None if its fields are empty. Raises `ValueError`."""
    texts = [_text(column, position) for column in layout.box]
    if not any(texts):
        return None
    names = [column.name for column in layout.box]
    if len(texts) == 1:
        texts = texts[0].strip("[]() ").replace(",", " ").split()
        names *= len(texts)
    if len(texts) != 4:
        raise ValueError(f"row {position + 1}: {layout.box[0].name} has {len(texts)} numbers, not 4")
    left, top, right, bottom = (
        real(text, f"row {position + 1}: {name}") for text, name in zip(texts, names, strict=True)
    )
    return (left, top, right - left, bottom - top) if layout.are_corners else (left, top, right, bottom)


def _text(column: Column, position: int) -> str:
    return str(column.values[position]).strip()
