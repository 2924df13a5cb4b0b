"""Labels that are not in class folders: the message says in what they are, and what to give."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import label_tools
import pytest
from PIL import Image

from nars.data import load
from nars.errors import DataError


def _picture(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("train/metadata.jsonl", '{"file_name": "a.png", "label": 1}', "Hugging Face: give hf:"),
        ("labels.json", '{"classes": ["a"], "labels": {"x": 0}}', "FiftyOne's labels: export as"),
        ("output.manifest", '{"source-ref": "s3://b/a.png", "x": 1}', "Ground Truth: write a CSV"),
        ("train.csv", "image_id,breed\nx.png,a\n", r"table: give one with --data: .*train\.csv"),
        ("data_batch_1", "x", "CIFAR-10's files: give cifar10:X"),
        ("train-images-idx3-ubyte", "x", "MNIST's files: put them"),
        ("train-000.tar", "x", "unpack it into class folders"),
    ],
)
def test_labels_elsewhere_are_pointed_to(tmp_path: Path, name: str, text: str, words: str) -> None:
    _picture(tmp_path / "train" / "x.png")
    (tmp_path / "test").mkdir()
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("export", "tool"),
    [
        (label_tools.rectlabel_coco, "COCO"),
        (label_tools.roboflow_coco, "COCO"),
        (label_tools.labelimg_voc, "Pascal VOC"),
        (label_tools.labelimg_yolo, "YOLO"),
        (label_tools.listed_yolo, "YOLO"),
    ],
)
def test_boxes_are_recognised_and_their_commands_named(
    tmp_path: Path, export: Callable[[Path], None], tool: str
) -> None:
    export(tmp_path)
    words = rf"has boxes in {tool}'s format \(.* add --task detection to `nars search`; else use `nars detect"
    with pytest.raises(DataError, match=words) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_boxes_beside_folders_of_pictures_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(16):
        _picture(tmp_path / "JPEGImages" / f"day{number % 2}" / f"{number}.png", number)
    (tmp_path / "Annotations").mkdir()
    box = "<object><name>car</name><bndbox><xmin>1</xmin></bndbox></object>"
    (tmp_path / "Annotations" / "0.xml").write_text(f"<annotation>{box}</annotation>")
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).classes == ("day0", "day1")
    (record,) = caplog.records
    assert "has boxes in Pascal VOC's format (Annotations/0.xml), which are for detectors" in record.message
    assert record.message.endswith("; without that, its folders are classes")


def test_a_file_of_boxes_is_recognised(tmp_path: Path) -> None:
    label_tools.rectlabel_coco(tmp_path)
    with pytest.raises(
        DataError, match=r"my project.json has boxes in COCO's format, which are for detectors"
    ):
        load(tmp_path / "my project.json")


def test_a_table_of_boxes_is_one_of_classes_only_if_no_picture_has_two(tmp_path: Path) -> None:
    for number in range(9):
        _picture(tmp_path / f"p{number}.png", number)
    rows = [f"p{number}.png,{'ab'[number % 2]},1,1,9,9\n" for number in range(8)]
    table = tmp_path / "x.csv"
    table.write_text(f"filename,class,xmin,ymin,xmax,ymax\n{''.join(rows)}")
    assert load(table).classes == ("a", "b")
    table.write_text(f"filename,class,xmin,ymin,xmax,ymax\n{''.join(rows)}{rows[0]}")
    with pytest.raises(DataError, match=r"x\.csv is a table of boxes, which are for detectors: add --task"):
        load(table)


def test_an_example_of_an_answer_is_no_table_of_labels(tmp_path: Path) -> None:
    _picture(tmp_path / "train" / "x.png")
    (tmp_path / "test").mkdir()
    (tmp_path / "sample_submission.csv").write_text("image_id,label\nx.png,4\n")
    with pytest.raises(DataError, match=r"NAME CLASS in each line$"):
        load(tmp_path)


def test_the_table_of_a_bucket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "import.csv").write_text("training,gs://b/a.png,cat\ntraining,gs://b/b.png,dog\n")
    with pytest.raises(DataError, match="Vertex AI's CSV"):
        load(tmp_path / "import.csv")


def test_what_is_beside_the_pictures_of_two_columns_is_their_class(tmp_path: Path) -> None:
    for number in range(8):
        _picture(tmp_path / "train" / f"p{number}.png", number)
    rows = "".join(f"p{number},{'ab'[number % 2]}\n" for number in range(8))
    (tmp_path / "labels.csv").write_text(f"id,breed\n{rows}")
    assert load(tmp_path / "labels.csv").classes == ("a", "b")


def test_the_prefix_of_an_upload_is_none_of_the_pictures(tmp_path: Path) -> None:
    for number in range(8):
        _picture(tmp_path / "images" / f"p{number}.png", number)
    rows = [f"/data/upload/1/ab12cd3{number}-p{number}.png,{'ab'[number % 2]}\n" for number in range(8)]
    (tmp_path / "project.csv").write_text(f"image,choice\n{''.join(rows)}")
    assert load(tmp_path).classes == ("a", "b")


def test_splits_in_lists_are_said_to_be_unread(tmp_path: Path) -> None:
    for number in range(16):
        _picture(tmp_path / "images" / "ab"[number % 2] / f"{number}.png", number)
    (tmp_path / "train_test_split.txt").write_text("1 0\n")
    (tmp_path / "classes.txt").write_text("1 a\n")
    assert "the splits in train_test_split.txt are not read" in load(tmp_path).parts[0].line()
