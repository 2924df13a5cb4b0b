"""Exports of label tools are read as they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import folders
import pytest
from label_tools import (
    EXPORTS,
    LABEL,
    ORIGINALS,
    XML,
    labelimg_voc,
    listed_yolo,
    pictures,
    rectlabel_coco,
    roboflow_coco,
    text_file,
)

from detector.data.check import check, read
from detector.data.findings import summary
from detector.data.layouts import load
from detector.data.records import CocoData
from nars.errors import DataError


def _sums(data: CocoData) -> tuple[int, int]:
    return sum(len(subset.images) for subset in data.subsets), sum(
        len(subset.annotations) for subset in data.subsets
    )


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.__name__)
def test_exports_are_read_as_they_come(tmp_path: Path, export: Callable[[Path], None]) -> None:
    export(tmp_path)
    images, boxes, classes = EXPORTS[export]
    data, findings = read(tmp_path)
    assert [finding for finding in findings if finding.severity == "error"] == []
    assert (*_sums(data), data.classes) == (images, boxes, classes)
    assert all(subset.path(image).is_file() for subset in data.subsets for image in subset.images)
    assert all(part.layout for part in data.parts)


def test_a_test_part_is_left_alone_or_measured_whole(tmp_path: Path) -> None:
    roboflow_coco(tmp_path)
    data = load(tmp_path)
    assert [part.name for part in data.parts] == ["train", "val", "test"]
    alone = load(tmp_path / "test", whole="val")
    assert (len(alone.train.images), len(alone.val.images)) == (0, 1)
    tested = load(tmp_path, whole="test")
    assert [image.file for image in tested.val.images] == [image.file for image in alone.val.images]
    assert (tested.classes, tested.test) == (data.classes, None)
    with pytest.raises(DataError, match="test: no part test; its parts are train"):
        load(tmp_path / "test", whole="test")
    rectlabel_coco(tmp_path / "other")
    assert len(load(tmp_path / "other", whole="val").val.images) == 5
    assert [len(subset.images) for subset in load(tmp_path / "other").subsets] == [4, 1]


def test_listed_test_images_are_never_trained_on(tmp_path: Path) -> None:
    labelimg_voc(tmp_path / "Annotations")
    text_file(tmp_path / "ImageSets" / "Main" / "train.txt", "a\nb\n")
    text_file(tmp_path / "ImageSets" / "Main" / "test.txt", "c\nd\ne\n")
    data = load(tmp_path)
    assert sorted(Path(image.file).stem for subset in data.subsets for image in subset.images) == ["a", "b"]


def test_a_line_of_a_list_is_a_whole_name(tmp_path: Path) -> None:
    pictures(tmp_path / "JPEGImages", "a 1.png", "b.png")
    for name in ("a 1", "b"):
        text_file(tmp_path / "Annotations" / f"{name}.xml", XML.format(file=f"{name}.png"))
    text_file(tmp_path / "ImageSets" / "Main" / "train.txt", "a 1\n")
    text_file(tmp_path / "ImageSets" / "Main" / "val.txt", "b  1\n")
    assert [len(subset.images) for subset in load(tmp_path).subsets] == [1, 1]


def test_an_image_is_not_taken_from_another_part(tmp_path: Path) -> None:
    folders.coco(tmp_path)
    (tmp_path / "train" / "1.png").unlink()
    assert summary(check(tmp_path))["image-missing"] == 1


@pytest.mark.parametrize("export", ORIGINALS)
def test_originals_are_read_as_they_come(tmp_path: Path, export: Callable[[Path], None]) -> None:
    export(tmp_path)
    data = load(tmp_path)
    assert [len(subset.images) for subset in data.subsets] == [4, 1]
    assert all(subset.path(image).is_file() for subset in data.subsets for image in subset.images)


def test_labels_of_no_part_are_found_once(tmp_path: Path) -> None:
    listed_yolo(tmp_path)
    text_file(tmp_path / "labels" / "z.txt", LABEL)
    text_file(tmp_path / "labels" / "._z.txt", "a Mac's")
    strays = [finding for finding in check(tmp_path) if finding.code == "annotation-without-image"]
    assert [Path(finding.file).name for finding in strays] == ["z.txt"]
