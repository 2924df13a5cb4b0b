from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import folders
import numpy as np
import pytest
from label_tools import labelimg_voc
from pycocotools.coco import COCO

from detector.data import images, masks
from detector.data import layouts as coco
from detector.data.coco import to_dict, write
from detector.data.readers.coco import read_subset
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Subset, divide
from nars.errors import DataError


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def _by_image_folder(folder: Path, annotations: str, pictures: str) -> None:
    """Move train/ and val/ to another of COCO's layouts; {} is replaced by the split."""
    for split in ("train", "val"):
        _move(folder / split / "annotations.json", folder / annotations.format(split))
        for path in sorted((folder / split).glob("*.png")):
            _move(path, folder / pictures.format(split) / path.name)


@pytest.mark.parametrize(
    ("annotations", "pictures"),
    [
        ("{}/annotations.json", "{}"),
        ("{}/_annotations.coco.json", "{}"),
        ("{}/anything.json", "{}/images"),
        ("instances_{}.json", "images/{}"),
        ("annotations/instances_{}.json", "{}"),
        ("annotations/instances_{}2017.json", "{}2017"),
        ("annotations/instances_{}2017.json", "images/{}2017"),
    ],
)
def test_layouts(tmp_path: Path, annotations: str, pictures: str) -> None:
    _by_image_folder(folders.coco(tmp_path), annotations, pictures)
    data = coco.load(tmp_path)
    assert [len(subset.images) for subset in data.subsets] == [4, 2]
    assert [len(subset.annotations) for subset in data.subsets] == [8, 4]
    assert all(subset.path(image).is_file() for subset in data.subsets for image in subset.images)


def test_validation_may_be_called_valid(tmp_path: Path) -> None:
    folders.coco(tmp_path)
    (tmp_path / "val").rename(tmp_path / "valid")
    assert len(coco.load(tmp_path).val.images) == 2


def _one_voc(folder: Path) -> None:
    labelimg_voc(folder)


def _one_coco(folder: Path) -> None:
    folders.coco(folder.parent / "other")
    shutil.move(folder.parent / "other" / "train", folder)


def _one_yolo(folder: Path) -> None:
    (folder.parent / "classes.txt").write_text("cup\n")
    folders.picture(folder / "images" / "a.png", 64, 48)
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")


@pytest.mark.parametrize("write_one", [_one_coco, _one_voc, _one_yolo])
def test_no_folder_hides_another_one(tmp_path: Path, write_one: Callable[[Path], None]) -> None:
    write_one(tmp_path / "train_2023")
    assert len(coco.load(tmp_path).train.images) > 0
    write_one(tmp_path / "train_2024")
    with pytest.raises(DataError, match=r"train_2023 and .*train_2024 both are train: put them into one"):
        coco.load(tmp_path)


def test_records_and_labels(tmp_path: Path) -> None:
    data = coco.load(folders.coco(tmp_path))
    assert data.train.images[0] == ImageRecord(1, "1.png", 64, 48)
    assert data.train.annotations[1] == Annotation(3, 1, 3, (30.0, 8.0, 12.5, 30.0), 375.0)
    assert data.labels == {3: 1, 7: 2}, "sorted by id, not as listed"
    assert data.classes == ("spoon", "cup")


def test_category_that_only_names_a_group_is_no_class() -> None:
    categories = (Category(0, "tools", "none"), Category(1, "saw", "tools"), Category(2, "axe", "tools"))
    place = Path("x")
    box = Annotation(1, 1, 1, (0, 0, 5, 5), 25)
    train = Subset("train", place, place, (ImageRecord(1, "a", 9, 9),), (box,), categories)
    empty = Subset("val", place, place, categories=categories)
    assert CocoData(train, empty).classes == ("saw", "axe")
    used = Subset("train", place, place, train.images, (box._replace(category_id=0),), categories)
    assert CocoData(used, empty).classes == ("tools", "saw", "axe")


def test_without_validation_a_fifth_is_set_aside_always_the_same(tmp_path: Path) -> None:
    folders.coco(tmp_path)
    shutil.rmtree(tmp_path / "val")
    data = coco.load(tmp_path)
    assert [len(subset.images) for subset in data.subsets] == [3, 1]
    assert [len(subset.annotations) for subset in data.subsets] == [6, 2]
    again = divide(coco.load(tmp_path).train, 0.4)
    assert {image.file for image in data.train.images}.isdisjoint(image.file for image in data.val.images)
    assert len(again.val.images) == 1


def test_a_name_in_another_encoding_than_utf8_can_be_set_aside() -> None:
    place = Path("x")
    names = [os.fsdecode(b"caf\xe9-%d.jpg" % number) for number in range(5)]
    images = tuple(ImageRecord(number, name, 9, 9) for number, name in enumerate(names))
    assert len(divide(Subset("train", place, place, images)).val.images) == 1


def test_a_copy_can_be_written_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = coco.load(folders.coco(tmp_path / "in"))
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    write(data, ".")
    monkeypatch.chdir(tmp_path)
    assert coco.load("new").classes == data.classes


def test_validation_alone_can_be_read(tmp_path: Path) -> None:
    folders.coco(tmp_path)
    shutil.rmtree(tmp_path / "train")
    data = coco.load(tmp_path)
    assert not data.train.images
    assert len(data.val.images) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"images": [{"id": 1, "file_na', "perhaps cut off"),
        (b"[]", "not a list"),
        (b'{"images": {}}', "images must be a list"),
        (b'{"images": [{"id": 1}]}', "no 'file_name'"),
        (b'{"images": [{"id": [1], "file_name": "1.png"}]}', "images[0]"),
        (
            b'{"images": [], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3]}]}',
            "annotations[0]",
        ),
        (b'{"images": [], "annotations": [7]}', "annotations[0]"),
        (b'{"hello": 1}', "is not COCO's: has no images, no annotations, no categories"),
        (b'{"annotations": []}', "is not COCO's: has no images, no categories"),
        (b"\xff\xfe\x00", "perhaps cut off"),
        (b"[" * 100_000, "perhaps cut off"),
    ],
)
def test_malformed_files_are_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    folders.coco(tmp_path)
    path = tmp_path / "train" / "annotations.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        coco.load(tmp_path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spoil", ["nothing there", "no such folder", "two files"])
def test_folders_without_a_data_set(tmp_path: Path, spoil: str) -> None:
    words = {
        "nothing there": "no data set of boxes found",
        "no such folder": "no such folder",
        "two files": "keep one",
    }
    folder = tmp_path / "data"
    if spoil != "no such folder":
        folder.mkdir()
    if spoil == "two files":
        for name in ("a.json", "b.json"):
            folders.picture(folder / "train" / "1.png", 4, 4)
            (folder / "train" / name).write_text("{}")
    with pytest.raises(DataError, match=words[spoil]):
        coco.load(folder)


@pytest.mark.parametrize("name", ["instances_train.json", "annotations/instances_train.json"])
def test_a_file_is_answered_with_the_folder_of_its_data(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    with pytest.raises(DataError, match=f"{file}: is a file; give its folder, {tmp_path}$"):
        coco.load(file)


def test_written_data_read_back_equal_and_open_in_pycocotools(tmp_path: Path) -> None:
    def spoil(document: folders.Document) -> None:
        document["annotations"][0]["segmentation"] = [[4, 6, 24, 6, 24, 16]]
        document["annotations"][1]["iscrowd"] = 1

    data = coco.load(folders.coco(tmp_path / "in", spoil))
    write(data, tmp_path / "out")
    again = coco.load(tmp_path / "out")
    for before, after in zip(data.subsets, again.subsets, strict=True):
        assert to_dict(before) == to_dict(after)
        for image in before.images:
            assert before.path(image).read_bytes() == after.path(image).read_bytes()
    tool = COCO(tmp_path / "out" / "train" / "annotations.json")
    assert len(tool.loadAnns(tool.getAnnIds(imgIds=[1], iscrowd=False))) == 1
    assert tool.annToMask(tool.anns[2]).shape == (48, 64)


def test_writing_keeps_inside_the_folder_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARS_ALSO_FROM", str(tmp_path / "a"))
    data = coco.load(folders.coco(tmp_path / "a" / "b"))
    outside = tmp_path / "a" / "1.png"
    folders.picture(outside, 64, 48, seed=9)
    first, second, *others = data.train.images
    renamed = (first._replace(file="../../1.png"), second._replace(file="1.png"), *others)
    train = Subset("train", data.train.source, data.train.root, renamed, data.train.annotations)
    write(CocoData(train, data.val), tmp_path / "out")
    written = coco.load(tmp_path / "out").train
    assert [image.file for image in written.images[:2]] == ["1.png", "2-1.png"]
    assert written.path(written.images[0]).read_bytes() == outside.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out"]


def test_writing_refuses_a_folder_in_use_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    data = coco.load(folders.coco(tmp_path / "in"))
    with pytest.raises(DataError, match="is there already"):
        write(data, tmp_path / "in")
    (tmp_path / "in" / "val" / "2.png").unlink()
    with pytest.raises(DataError, match="cannot write"):
        write(data, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_masks_round_trip_and_strange_codes_are_named() -> None:
    mask = np.random.default_rng(0).random((37, 53)) < 0.3
    code = masks.encode(mask)
    np.testing.assert_array_equal(masks.decode(code, 37, 53), mask)
    square = masks.decode([[2, 3, 12, 3, 12, 13, 2, 13]], 20, 30)
    assert square.sum() == 100
    assert square[3:13, 2:12].all()
    runs = {"size": [2, 3], "counts": [1, 2, 3]}
    np.testing.assert_array_equal(masks.decode(runs, 2, 3), [[0, 1, 0], [1, 0, 0]])
    for strange in (
        [],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, float("nan")]],
        {"size": [37, 53], "counts": code["counts"] + code["counts"]},
        {"size": [37, 53], "counts": "~~~~"},
        {"size": [37, 53], "counts": code["counts"][:-2]},
        {"size": [53, 37], "counts": code["counts"]},
        {"size": [37, 53], "counts": [-1, 1962]},
        {"size": [37, 53]},
        "text",
    ):
        with pytest.raises(DataError, match="segmentation"):
            masks.decode(strange, 37, 53)  # type: ignore[arg-type]


def test_load_reads_the_embedded_data_by_name() -> None:
    data = coco.load("digit-scenes")
    assert images.load(data.train, data.train.images[0]).shape[0] == 3


@pytest.mark.slow
def test_the_size_of_coco_is_read_in_seconds(tmp_path: Path) -> None:
    """118 287 images and 860 001 boxes, as in train2017; 60 seconds leave room for a slow machine."""
    polygon = [[float(number) for number in range(40)]]
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 640, "height": 480} for n in range(118_287)],
        "annotations": [
            {"id": n, "image_id": n // 8, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": polygon}
            for n in range(860_001)
        ],
        "categories": [{"id": 1, "name": "one"}],
    }
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(content))
    start = time.process_time()
    split = read_subset("train", path, [tmp_path])
    assert len(split.by_image) == 118_287
    assert time.process_time() - start < 60


@pytest.mark.parametrize("absolute", [True, False])
def test_a_name_that_leads_out_of_the_data_set_needs_to_be_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, absolute: bool
) -> None:
    outside = tmp_path / "private" / "picture.png"
    folder = tmp_path / "sets" / "mine"
    folders.coco(folder)
    _move(folder / "train" / "1.png", outside)
    path = folder / "train" / "annotations.json"
    document = json.loads(path.read_text())
    (named,) = (image for image in document["images"] if image["file_name"] == "1.png")
    named["file_name"] = str(outside) if absolute else "../../../private/picture.png"
    path.write_text(json.dumps(document))
    with pytest.raises(
        DataError, match=f"picture.png leads out of the data set.*--also-from {outside.parent}"
    ):
        coco.load(folder)
    monkeypatch.setenv("NARS_ALSO_FROM", str(outside.parent))
    data = coco.load(folder)
    write(data, tmp_path / "copy")
    monkeypatch.delenv("NARS_ALSO_FROM")
    with pytest.raises(DataError, match="so it is not copied"):
        write(data, tmp_path / "other")
    assert not (tmp_path / "other").exists()
