"""Tables of boxes, as tools and competitions write them, are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_tools import pictures, text_file

from detector.data.check import check, fix, read
from detector.data.layouts import load
from nars.errors import DataError

NAMES = ("a.png", "b.png", "c.png", "d.png", "e.png")
BOX = (11, 6, 31, 16)
"""Corners of the box in each image of 64 x 48 pixels."""

HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def _rows(pattern: str, *names: str) -> str:
    left, top, right, bottom = BOX
    known = {"left": left, "top": top, "right": right, "bottom": bottom}
    known |= {"width": right - left, "height": bottom - top}
    fractions = {f"{key}_f": value / (64 if key in ("left", "right") else 48) for key, value in known.items()}
    return "".join(
        pattern.format(name=name, stem=name[0], label=("cup", "fork")[position % 2], **known, **fractions)
        for position, name in enumerate(names)
    )


TENSORFLOW = "{name},64,48,{label},{left},{top},{right},{bottom}\n"

LAYOUTS = {
    "TensorFlow": (HEAD, TENSORFLOW),
    "sizes unknown": (
        "file_name;label;x1;y1;x2;y2\n",
        "{name};{label};{left};{top};{right};{bottom}\n",
    ),
    "Open Images": (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf\n",
        "{stem},xclick,{label},1,{left_f},{right_f},{top_f},{bottom_f},0,0\n",
    ),
    "labelWise": (
        "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\n",
        '"{label}",{left},{top},{width},{height},"{name}",64,48\n',
    ),
    "Kaggle": (
        "image_id,width,height,bbox,class_name\n",
        '{stem},64,48,"[{left}.0, {top}.0, {width}.0, {height}.0]",{label}\n',
    ),
    "RetinaNet": ("", "images/{name},{left},{top},{right},{bottom},{label}\n"),
    "Make Sense": ("", "{label},{left},{top},{width},{height},{name},64,48\n"),
    "another machine": (HEAD, "C:\\photos\\{name},64,48,{label},{left},{top},{right},{bottom}\n"),
}
"""A head, and the row of a box."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_are_told_by_their_names(tmp_path: Path, layout: str) -> None:
    head, row = LAYOUTS[layout]
    pictures(tmp_path / "images", *NAMES)
    text_file(tmp_path / "my boxes.csv", head + _rows(row, *NAMES))
    data, findings = read(tmp_path)
    assert {finding.code for finding in findings} <= {"category-unused"}
    assert [len(subset.images) for subset in data.subsets] == [4, 1]
    assert data.classes == ("cup", "fork")
    assert {(image.width, image.height) for subset in data.subsets for image in subset.images} == {(64, 48)}
    for annotation in data.train.annotations:
        assert annotation.box == pytest.approx((11, 6, 20, 10))
        assert annotation.area == pytest.approx(200)


@pytest.mark.parametrize("place", ["{part}/_annotations.csv", "{part}_labels.csv", "annotations/{part}.csv"])
def test_parts_are_folders_or_words_in_names(tmp_path: Path, place: str) -> None:
    for part, names in (("train", NAMES[:4]), ("valid", NAMES[:2]), ("test", NAMES[:1])):
        pictures(tmp_path / part, *names)
        path = "{name}" if "/_" in place else f"{part}/{{name}}"
        text_file(
            tmp_path / place.format(part=part), HEAD + _rows(TENSORFLOW.replace("{name}", path), *names)
        )
    data = load(tmp_path)
    assert [(part.name, part.images) for part in data.parts] == [("train", 4), ("val", 2), ("test", 1)]
    assert all(subset.path(image).is_file() for subset in data.subsets for image in subset.images)


def test_parts_are_values_of_a_column(tmp_path: Path) -> None:
    pictures(tmp_path, *NAMES)
    rows = [_rows("{name},{label},{left},{top},{right},{bottom}", name) for name in NAMES]
    parts = ("train", "TRAIN", "training", "val", "test")
    lines = [f"{row},{part}\n" for row, part in zip(rows, parts, strict=True)]
    text_file(tmp_path / "x.csv", "image,class,xmin,ymin,xmax,ymax,split\n" + "".join(lines))
    assert [(part.name, part.images) for part in load(tmp_path).parts] == [
        ("train", 3),
        ("val", 1),
        ("test", 1),
    ]


def test_images_without_boxes_and_of_no_row(tmp_path: Path) -> None:
    pictures(tmp_path, *NAMES)
    rows = _rows("{name},{left},{top},{right},{bottom},{label}\n", *NAMES[:2])
    text_file(tmp_path / "x.csv", f"{rows}c.png,,,,,\n")
    data = load(tmp_path, whole="train")
    assert len(data.train.images) == 3
    assert len(data.train.annotations) == 2
    assert data.train.passed == {"images that no row names": 2}


def test_groups_are_crowds_and_boxes_without_classes_objects(tmp_path: Path) -> None:
    pictures(tmp_path, *NAMES[:2])
    rows = "a,0.1,0.5,0.1,0.5,1\nb,0.1,0.5,0.1,0.5,0\n"
    text_file(tmp_path / "x.csv", f"ImageID,XMin,XMax,YMin,YMax,IsGroupOf\n{rows}")
    data = load(tmp_path, whole="train")
    assert [annotation.crowd for annotation in data.train.annotations] == [True, False]
    assert data.classes == ("object",)


@pytest.mark.parametrize(("yes", "no"), [("TRUE", "FALSE"), ("1.0", ""), ("true", "0")])
def test_crowds_are_told_as_spreadsheets_write_them(tmp_path: Path, yes: str, no: str) -> None:
    pictures(tmp_path, *NAMES[:2])
    rows = f"a,0.1,0.5,0.1,0.5,{yes}\nb,0.1,0.5,0.1,0.5,{no}\n"
    text_file(tmp_path / "x.csv", f"ImageID,XMin,XMax,YMin,YMax,iscrowd\n{rows}")
    data = load(tmp_path, whole="train")
    assert [annotation.crowd for annotation in data.train.annotations] == [True, False]


def test_rows_that_cannot_be_used_are_named_and_left_out(tmp_path: Path) -> None:
    pictures(tmp_path, *NAMES)
    bad = "a.png,64,48,cup,1,2,x,4\nb.png,64,48,,1,2,3,4\nc.png,64,48,cup,1,2,,4\nd.png,6 4,48,cup,1,2,3,4\n"
    text_file(tmp_path / "x.csv", HEAD + bad + _rows(TENSORFLOW, *NAMES))
    findings = [finding for finding in check(tmp_path) if finding.code == "record-malformed"]
    assert [finding.message for finding in findings] == [
        "row 1: xmax is not a number: 'x'",
        "row 2, column class: there is no value",
        "row 3: xmax is not a number: ''",
        "row 4: width is '6 4', not a whole number",
    ]
    fix(tmp_path, tmp_path.parent / "mended")
    assert {finding.remedy for finding in check(tmp_path.parent / "mended")} <= {"keep"}


def test_two_tables_of_one_part_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path, *NAMES)
    for name in ("one", "two"):
        text_file(tmp_path / f"{name}.csv", HEAD + _rows(TENSORFLOW, *NAMES))
    with pytest.raises(DataError, match=r"several tables of boxes for one part \(one\.csv, two\.csv\)"):
        load(tmp_path)


def test_a_name_that_leads_outside_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "outside", "a.png")
    rows = _rows(TENSORFLOW.replace("{name}", "../../outside/{name}"), "a.png")
    text_file(tmp_path / "some" / "data" / "x.csv", HEAD + rows)
    with pytest.raises(DataError, match="--also-from"):
        load(tmp_path / "some" / "data")


@pytest.mark.parametrize(("box", "count"), [("[ ]", 0), ("[1 2 3]", 3)])
def test_a_box_of_another_number_of_numbers_is_named(tmp_path: Path, box: str, count: int) -> None:
    pictures(tmp_path, "a.png")
    text_file(tmp_path / "x.csv", f"image_id,bbox,width,height\na.png,{box},24,24\n")
    with pytest.raises(DataError, match=rf"row 1: bbox has {count} numbers, not 4"):
        load(tmp_path)
