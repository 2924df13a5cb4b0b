"""What the doctor finds in COCO files, and mends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import folders
import pytest
from label_tools import text_file

from detector.data.check import check, fix, usable
from detector.data.findings import summary
from detector.data.layouts import load
from nars.errors import DataError

Spoil = Callable[[folders.Document], object]


FAULTS: dict[str, tuple[Spoil, str]] = {
    "negative area": (lambda document: document["annotations"][0].update(area=-200.0), "box-area"),
    "area of another box": (lambda document: document["annotations"][0].update(area=50.0), "box-area"),
    "box twice": (
        lambda document: document["annotations"].append(document["annotations"][0] | {"id": 99}),
        "box-duplicate",
    ),
    "the same file again": (
        lambda document: [
            document["images"].append(document["images"][0] | {"id": 99}),
            *(
                document["annotations"].append(row | {"id": 90 + row["id"], "image_id": 99})
                for row in document["annotations"][:2]
            ),
        ],
        "file-duplicate",
    ),
    "corners": (
        lambda document: [
            row.update(bbox=[left, top, left + 20, top + 10], area=200)
            for row in document["annotations"]
            for left, top, *_ in [row["bbox"]]
        ],
        "box-corners",
    ),
    "fractions": (
        lambda document: [
            row.update(
                bbox=[left / 64, top / 48, width / 64, height / 48],
                area=width * height / 64 / 48,
                segmentation=[[left / 64, top / 48, (left + width) / 64, top / 48, left / 64, 0.9]],
            )
            for row in document["annotations"]
            for left, top, width, height in [row["bbox"]]
        ],
        "box-fractions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_the_doctor_finds_is_mended(tmp_path: Path, name: str) -> None:
    spoil, code = FAULTS[name]
    folder = folders.coco(tmp_path / "data", spoil)
    assert set(summary(check(folder))) == {code}
    assert fix(folder, tmp_path / "new")
    assert check(tmp_path / "new") == []


def test_fractions_are_told_although_an_image_is_missing(tmp_path: Path) -> None:
    def spoil(document: folders.Document) -> None:
        FAULTS["fractions"][0](document)
        for image in document["images"]:
            del image["width"], image["height"]

    folder = folders.coco(tmp_path, spoil)
    (folder / "train" / "1.png").unlink()
    boxes = usable(folder, drop_bad=True).train.annotations
    assert boxes
    assert all(min(box.box[2:]) > 1 for box in boxes)


def test_fractions_of_images_become_pixels(tmp_path: Path) -> None:
    whole, folder = folders.coco(tmp_path / "pixels"), folders.coco(tmp_path / "data", FAULTS["fractions"][0])
    fix(folder, tmp_path / "new")
    expected, mended = load(whole).train.annotations, load(tmp_path / "new").train.annotations
    for one, other in zip(expected, mended, strict=True):
        assert other.box == pytest.approx(one.box)
        assert other.area == pytest.approx(one.area)
    left, top, width, _ = mended[0].box
    assert mended[0].segmentation == [pytest.approx([left, top, left + width, top, left, 0.9 * 48])]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("Cup", "cup"), "category-alike"),
        (("cup", "cup"), "category-duplicate"),
        (("traffic light", "Traffic_Light"), "category-alike"),
        (("cup", "spoon"), None),
    ],
)
def test_names_that_are_alike(tmp_path: Path, names: tuple[str, str], code: str | None) -> None:
    for split, count in (("train", 4), ("val", 2)):
        content = folders.document(count)
        for row, title in zip(content["categories"], names, strict=True):
            row["name"] = title
        for number in range(1, count + 1):
            folders.picture(tmp_path / split / f"{number}.png", 64, 48, seed=number + 10 * count)
        text_file(tmp_path / split / "annotations.json", json.dumps(content))
    assert set(summary(check(tmp_path))) == ({code} if code else set())


def _renamed(document: folders.Document) -> None:
    """Give the category 7 another id, whose boxes follow it."""
    for row in (document["categories"][0], *document["annotations"]):
        key = "category_id" if "bbox" in row else "id"
        row[key] = {7: 90}.get(row[key], row[key])


def test_one_class_with_two_ids_is_refused_and_becomes_one(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path / "data", _renamed)
    said = "category 'cup' has id 7 in val, too: give it one id, or each class its name"
    (finding,) = check(folder)
    assert (finding.code, finding.id, finding.message) == ("category-duplicate", 90, said)
    for needs in (("train", "val"), ("val",)):
        with pytest.raises(DataError, match=said):
            usable(folder, needs=needs)
    whole = load(folders.coco(tmp_path / "whole"))
    assert usable(folder, drop_bad=True).train.annotations == whole.train.annotations
    (change,) = fix(folder, tmp_path / "new")
    assert change.endswith(f"{said}; made one class")
    assert check(tmp_path / "new") == []
    assert load(tmp_path / "new").categories == whole.categories


def test_a_group_may_have_the_name_of_its_class(tmp_path: Path) -> None:
    def grouped(document: folders.Document) -> None:
        document["categories"][0]["supercategory"] = "cup"
        document["categories"].append({"id": 0, "name": "cup", "supercategory": "none"})

    folder = folders.coco(tmp_path, grouped)
    assert check(folder) == []
    assert load(folder).classes == ("spoon", "cup")


def test_fewer_images_have_the_same_classes(tmp_path: Path) -> None:
    """A class that groups another is none without boxes, but the whole data may have some."""

    def grouped(document: folders.Document) -> None:
        document["categories"][0]["supercategory"] = document["categories"][1]["name"]

    data = load(folders.coco(tmp_path, grouped))
    assert len(data.classes) == 2
    few = data.narrowed(replace(data.train, annotations=()))
    assert replace(few, val=replace(few.val, annotations=())).labels == data.labels


def test_no_categories_is_one_finding(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path, lambda document: document.pop("categories"))
    assert summary(check(folder))["categories-missing"] == 1
    assert "category-unknown" not in summary(check(folder))


@pytest.mark.parametrize(
    ("written", "code", "box"),
    [
        ([40.0, 20.0, 60.0, 40.0], "box-corners", (40.0, 20.0, 20.0, 20.0)),
        ([0.5, 0.25, 0.25, 0.5], "box-fractions", (32.0, 12.0, 16.0, 24.0)),
    ],
)
def test_a_part_with_one_box_is_mended_as_the_other(
    tmp_path: Path, written: list[float], code: str, box: tuple[float, ...]
) -> None:
    for split, count in (("train", 4), ("val", 1)):
        content = folders.document(count)
        content["annotations"] = [row | {"bbox": written} for row in content["annotations"] if row["id"] % 2]
        for number in range(1, count + 1):
            folders.picture(tmp_path / "data" / split / f"{number}.png", 64, 48, seed=number + 10 * count)
        text_file(tmp_path / "data" / split / "annotations.json", json.dumps(content))
    assert summary(check(tmp_path / "data"))[code] == 5
    fix(tmp_path / "data", tmp_path / "new")
    for data in (usable(tmp_path / "data", drop_bad=True), load(tmp_path / "new")):
        for subset in data.subsets:
            assert {(row.box, row.area) for row in subset.annotations} == {(box, box[2] * box[3])}
