"""What is no data set or no label is called by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_tools import labelimg_voc, labelimg_yolo, text_file

from detector.data.check import check
from detector.data.layouts import load
from nars.errors import DataError


@pytest.mark.parametrize("name", ["predictions.json", "a.zip"])
def test_not_found_says_what_is_there(tmp_path: Path, name: str) -> None:
    text_file(tmp_path / name, "{}")
    with pytest.raises(DataError, match=f"no data set of boxes found.*there is {name}"):
        load(tmp_path)


def test_data_sets_inside_of_the_folder_are_named(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        labelimg_voc(tmp_path / "VOCdevkit" / year / "Annotations")
    with pytest.raises(DataError, match=r"2 inside: give one of .*VOCdevkit/VOC2007, .*VOCdevkit/VOC2012"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0,0.5,0.5,0.1,0.1", "commas"),
        ("0 0,5 0,5 0,1 0,1", "commas"),
        ("0 320 240 50 40", "no fraction of the image"),
        ("0 0.5 0.5 0.1 0.1 0.9", "confidence"),
        ("cup 0.5 0.5 0.1 0.1", "class is 'cup'"),
        ("0.5 0.5 0.5 0.1 0.1", "class is '0.5'"),
    ],
)
def test_lines_that_are_no_labels_are_named(tmp_path: Path, line: str, words: str) -> None:
    labelimg_yolo(tmp_path)
    text_file(tmp_path / "a.txt", line)
    (finding,) = [finding for finding in check(tmp_path) if finding.code == "record-malformed"]
    assert words in finding.message
    assert "line 1" in finding.message


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("train/a.json", '{"shapes": [], "imagePath": "a.png"}', "LabelMe's format.*labelme2coco"),
        ("train/a.json", '[{"image": "a", "annotations": [{"coordinates": {}}]}]', "CreateML"),
        ("via.csv", "filename,region_shape_attributes\n", "VIA's CSV, which is not read: export as COCO"),
        ("x.ndjson", '{"file": "a.jpg", "annotations": {}}', "Ultralytics HUB.*as YOLO"),
        ("output.manifest", '{"source-ref": "s3://b/a.jpg"}', "SageMaker Ground Truth"),
        ("labels.csv", "TRAIN,gs://b/a.jpg,cat,0.1,0.1,,,0.4,0.4,,", "Vertex AI"),
        ("training/label_2/000000.txt", "Car 0.00 0 -1.58 5 6 20 22", "label_2 is KITTI's format"),
        ("labelTxt/a.txt", "4 4 24 4 24 24 4 24 plane 0", "DOTA's format.*convert it to YOLO"),
        ("export.ndjson", '{"data_row": {}}', "Labelbox"),
        ("ds/ann/a.json", '{"objects": [{"classTitle": "cat"}]}', "Supervisely.*Export to COCO"),
        ("releases/a/annotations/a.json", '{"item": {"slots": []}, "annotations": []}', "V7.*export as COCO"),
        ("a.png.json", '{"instances": [{"className": "a"}]}', "SuperAnnotate"),
        ("labels/det_20/det_train.json", '[{"labels": [{"category": "a", "box2d": {}}]}]', "BDD100K.*coco"),
        ("tasks.json", '[{"task_id": "5", "params": {"attachment": "s3://b/a.jpg"}}]', "Scale's format"),
        ("annotation_train.odgt", '{"ID": "a", "gtboxes": []}', "CrowdHuman's format"),
        ("split/wider_face_train_bbx_gt.txt", "0--Parade/a.jpg\n1\n5 6 15 20 0 0 0 0 0 0", "WIDER FACE"),
        ("annotations/a.txt", "5,6,15,20,1,4,0,0", "VisDrone's format.*convert it to YOLO"),
        ("1.0.0/x.tfrecord-00000-of-00001", "x", "is a TFRecord"),
        ("annotations.xml", "<annotations><image/></annotations>", "CVAT's own XML"),
        (
            "annotations/panoptic_train.json",
            '{"images": [], "annotations": [{"segments_info": []}]}',
            "panoptic format, which is not read: give COCO's instances",
        ),
    ],
)  # fmt: skip
def test_formats_that_are_not_read_are_called_by_name(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    text_file(tmp_path / name, text)
    with pytest.raises(DataError, match=words) as caught:
        check(tmp_path)
    assert "\n" not in str(caught.value)
