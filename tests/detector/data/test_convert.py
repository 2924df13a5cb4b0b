from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import folders
import pytest
from PIL import Image

from detector.data import layouts as coco
from detector.data.check import check
from detector.data.findings import Finding, summary
from nars.errors import DataError

XML = """<annotation><filename>{file}</filename><size><width>{width}</width><height>48</height></size>
<object><name>dog</name><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>15</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>
<object><name>cat</name><difficult>1</difficult>
<bndbox><xmin>40.5</xmin><ymin>1</ymin><xmax>64</xmax><ymax>48</ymax></bndbox></object></annotation>
"""


def _voc(annotations: Path, pictures: Path, name: str, width: int = 64, file: str = "") -> None:
    annotations.mkdir(parents=True, exist_ok=True)
    (annotations / f"{name}.xml").write_text(XML.format(file=file or f"{name}.png", width=width))
    folders.picture(pictures / f"{name}.png", 64, 48, seed=ord(name))


def _devkit(folder: Path, train: str = "train", val: str = "val") -> Path:
    for name in ("a", "b", "c"):
        _voc(folder / "Annotations", folder / "JPEGImages", name)
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / f"{train}.txt").write_text("a\nb -1\n\n")
    (lists / f"{val}.txt").write_text("c\n")
    return folder


def _yolo(folder: Path, labels: str = "1 0.5 0.5 0.25 0.5\n") -> Path:
    for part, names in (("train", "abc"), ("val", "d")):
        for name in names:
            folders.picture(folder / "images" / part / f"{name}.png", 64, 48, seed=ord(name))
            (folder / "labels" / part).mkdir(parents=True, exist_ok=True)
            (folder / "labels" / part / f"{name}.txt").write_text(labels)
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnc: 2\nnames: [cup, spoon]\n")
    return folder


@pytest.mark.parametrize(("train", "val"), [("train", "val"), ("trainval", "test")])
def test_voc_devkit(tmp_path: Path, train: str, val: str) -> None:
    data = coco.load(_devkit(tmp_path, train, val))
    assert [[image.file for image in subset.images] for subset in data.subsets] == [
        ["JPEGImages/a.png", "JPEGImages/b.png"],
        ["JPEGImages/c.png"],
    ]
    assert data.classes == ("cat", "dog")
    dog, cat = data.train.annotations[:2]
    # Pixels 11 to 30 and 6 to 15, counted from 1, both included.
    assert (dog.box, dog.category_id, dog.crowd) == ((10, 5, 20, 10), 2, False)
    assert (cat.box, cat.crowd) == ((39.5, 0, 24.5, 48), True)
    assert {finding.severity for finding in check(tmp_path)} == {"warning"}


def test_voc_in_split_folders_may_repeat_names(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        _voc(tmp_path / part, tmp_path / part, "a")
    data = coco.load(tmp_path)
    assert [subset.images[0].file for subset in data.subsets] == ["train/a.png", "valid/a.png"]


def test_voc_without_lists_is_divided(tmp_path: Path) -> None:
    for name in "abcdefghij":
        _voc(tmp_path / "Annotations", tmp_path / "images", name)
    data = coco.load(tmp_path)
    assert [len(subset.images) for subset in data.subsets] == [8, 2]


def test_voc_image_is_found_under_the_name_of_its_xml_and_measured(tmp_path: Path) -> None:
    _voc(tmp_path, tmp_path, "a", width=0, file="C:/photos/other.JPG")
    _voc(tmp_path, tmp_path, "b")
    data = coco.load(tmp_path)
    assert sorted(image for subset in data.subsets for image in subset.images) == [
        (1, "a.png", 64, 48),
        (2, "b.png", 64, 48),
    ]


def test_voc_image_is_the_named_one_of_two_with_a_stem(tmp_path: Path) -> None:
    for name, file in (("a", "a.png"), ("b", "b.bmp")):
        _voc(tmp_path, tmp_path, name, file=file)
        folders.picture(tmp_path / f"{name}.bmp", 64, 48)
    data = coco.load(tmp_path)
    assert sorted(image.file for part in data.subsets for image in part.images) == ["a.png", "b.bmp"]


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (XML[:200], "perhaps cut off"),
        (BOMB, "document type"),
        ("", "perhaps cut off"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "is not XML"),
        ("<annotation><object><name>x</name></object></annotation>", "no bndbox/xmin"),
        ("<annotation><object><bndbox/></object></annotation>", "no name"),
        (XML.replace("<xmin>11", "<xmin>eleven"), "not a number: 'eleven'"),
        (XML.replace("<xmin>11", "<xmin>"), "no bndbox/xmin"),
        (XML.replace("<height>48", "<height>-1e400"), "size/height is -inf, not a number of pixels"),
        (XML.replace("<height>48", "<height>nan"), "size/height is nan, not a number of pixels"),
    ],
)
def test_voc_files_that_cannot_be_used_are_named(tmp_path: Path, content: str, words: str) -> None:
    _devkit(tmp_path)
    (tmp_path / "Annotations" / "b.xml").write_text(
        content.format(file="b.png", width=64) if "{" in content else content
    )
    with pytest.raises(DataError, match=r"b\.xml") as caught:
        coco.load(tmp_path)
    assert words in str(caught.value)
    assert summary(check(tmp_path))["record-malformed"] == 1


def test_voc_list_with_a_missing_file(tmp_path: Path) -> None:
    _devkit(tmp_path)
    (tmp_path / "Annotations" / "b.xml").unlink()
    with pytest.raises(DataError, match=r"b\.xml: no such file, but train\.txt lists it"):
        coco.load(tmp_path)


def test_yolo_boxes_are_fractions_of_the_image(tmp_path: Path) -> None:
    data = coco.load(_yolo(tmp_path))
    assert [len(subset.images) for subset in data.subsets] == [3, 1]
    assert data.classes == ("cup", "spoon")
    assert data.labels == {0: 1, 1: 2}
    assert data.train.annotations[0].box == (24, 12, 16, 24)
    assert data.train.annotations[0].category_id == 1
    assert not [finding for finding in check(tmp_path) if finding.severity == "error"]


def test_yolo_polygons(tmp_path: Path) -> None:
    data = coco.load(_yolo(tmp_path, "0 0.25 0.25 0.75 0.25 0.75 0.5\n"))
    one = data.train.annotations[0]
    assert one.segmentation == [[16, 12, 48, 12, 48, 24]]
    assert one.box == (16, 12, 32, 12)
    assert one.area == 32 * 12 / 2


def test_yolo_boxes_belong_to_the_picture_as_it_is_shown(tmp_path: Path) -> None:
    _yolo(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "images" / "train" / "a.png"
    with Image.open(path) as image:
        image.save(path, exif=exif)
    data = coco.load(tmp_path)
    assert data.train.images[0][2:] == (48, 64)
    assert data.train.annotations[0].box == (18, 16, 12, 32)


def _roboflow(folder: Path) -> None:
    for part, target in (("train", "train"), ("val", "valid")):
        for kind in ("images", "labels"):
            (folder / target).mkdir(exist_ok=True)
            shutil.move(folder / kind / part, folder / target / kind)
    (folder / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\nnames: {0: cup, 1: spoon}\n"
    )


def _lists(folder: Path) -> None:
    for part in ("train", "val"):
        files = sorted((folder / "images" / part).iterdir())
        (folder / f"{part}.txt").write_text("\n".join(f"./images/{part}/{file.name}" for file in files))
    (folder / "data.yaml").write_text(
        "path: elsewhere\ntrain: train.txt\nval: [val.txt]\nnames: [cup, spoon]\n"
    )


def _classes(folder: Path) -> None:
    (folder / "data.yaml").unlink()
    (folder / "classes.txt").write_text("cup\nspoon\n")


def _one_part(folder: Path) -> None:
    for kind in ("images", "labels"):
        for part in ("train", "val"):
            for path in sorted((folder / kind / part).iterdir()):
                shutil.move(path, folder / kind)
            (folder / kind / part).rmdir()
    (folder / "data.yaml").unlink()
    (folder / "labels" / "classes.txt").write_text("cup\nspoon\n")


@pytest.mark.parametrize("arrange", [_roboflow, _lists, _classes, _one_part])
def test_yolo_layouts(tmp_path: Path, arrange: Callable[[Path], None]) -> None:
    arrange(_yolo(tmp_path))
    data = coco.load(tmp_path)
    assert [len(subset.images) for subset in data.subsets] == [3, 1]
    assert [len(subset.annotations) for subset in data.subsets] == [3, 1]
    assert data.classes == ("cup", "spoon")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("names: [a", "cannot be read"),
        ("just text", "must hold names"),
        ("train: images/train\n", "names must be"),
        ("train: nowhere\nnames: [a]\n", "no folder or list of images 'nowhere'"),
        ("train: images/train\nnames: {x: a}\n", "names must be"),
    ],
)
def test_yolo_descriptions_that_cannot_be_used(tmp_path: Path, content: str, words: str) -> None:
    (_yolo(tmp_path) / "data.yaml").write_text(content)
    with pytest.raises(DataError, match=r"data\.yaml") as caught:
        coco.load(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yolo_faults_are_found_and_the_rest_is_read(tmp_path: Path) -> None:
    _yolo(tmp_path)
    labels = tmp_path / "labels" / "train"
    (labels / "a.txt").write_text(
        "0 0.5 0.5 0.5\nx 0.5 0.5 0.1 0.1\n7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.5 0\n0 .5 .5 .5 .5\n"
    )
    (labels / "b.txt").unlink()
    (labels / "stray.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "images" / "train" / "c.png").write_bytes(b"no image")
    findings = check(tmp_path)
    assert summary(findings) == {
        "record-malformed": 2,
        "image-unreadable": 1,
        "annotation-without-image": 1,
        "category-unknown": 1,
        "box-empty": 1,
        "category-unused": 2,
        "image-without-boxes": 2,
    }
    collected: list[Finding] = []
    data = coco.load(tmp_path, collected.append)
    assert [finding.message for finding in collected[:2]] == [
        "line 1: 3 numbers, expected 4 of a box or 6 and more of a polygon",
        "line 2: class is 'x', not a whole number",
    ]
    assert data.train.annotations[-1].box == (16, 12, 32, 24)
