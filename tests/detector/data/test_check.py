from __future__ import annotations

import json
import logging
from pathlib import Path

import folders
import pytest
import spoiled
from PIL import Image

from detector.data import layouts as coco
from detector.data.check import check, examine, fix, read, usable
from detector.data.findings import RULES, Finding, summary
from nars.errors import DataError


def _errors(codes: dict[str, int]) -> list[str]:
    return [code for code in codes if RULES[code].severity == "error"]


def test_check_names_what_is_wrong(case: tuple[Path, dict[str, int], int | None]) -> None:
    folder, codes, id = case
    findings = check(folder)
    assert summary(findings) == codes
    if findings:
        first = next(finding for finding in findings if finding.code == next(iter(codes)))
        ids = {finding.id for finding in findings}
        assert id in ids
        assert first.file.startswith(str(folder))
        assert first.row()["severity"] in ("error", "warning")


def test_training_refuses_errors_and_takes_warnings(case: tuple[Path, dict[str, int], int | None]) -> None:
    folder, codes, _ = case
    if not _errors(codes):
        assert len(usable(folder).val.images) == 2
        return
    with pytest.raises(DataError, match=_errors(codes)[0]) as caught:
        usable(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_image_is_found_dropped_and_left_out_of_the_copy(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path / "data")
    path = folder / "train" / "3.png"
    path.write_bytes(path.read_bytes()[:900])
    (finding,) = check(folder)
    assert (finding.code, finding.id, finding.file) == ("image-unreadable", 3, str(path))
    with pytest.raises(DataError, match=r"3\.png \(id 3\): the image cannot be decoded"):
        usable(folder)
    assert [image.id for image in usable(folder, drop_bad=True).train.images] == [1, 2, 4]
    (change,) = fix(folder, tmp_path / "out")
    assert "dropped with 2 annotations" in change
    assert not check(tmp_path / "out")


def test_opening_without_decoding_sees_only_the_head(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path)
    whole, empty = folder / "train" / "3.png", folder / "train" / "4.png"
    whole.write_bytes(whole.read_bytes()[:-200])
    empty.write_bytes(b"")
    assert [finding.id for finding in check(folder, decode=False)] == [4]
    assert [finding.id for finding in check(folder)] == [3, 4]


def test_json_cut_in_half_is_one_finding_and_cannot_be_mended(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path / "data")
    path = folder / "train" / "annotations.json"
    path.write_text(path.read_text()[:300])
    (finding,) = check(folder)
    assert (finding.code, finding.file, finding.id) == ("file-unreadable", str(path), None)
    for action in (
        usable,
        lambda folder: usable(folder, drop_bad=True),
        lambda folder: fix(folder, tmp_path / "o"),
    ):
        with pytest.raises(DataError, match="perhaps cut off"):
            action(folder)


def test_the_same_image_in_training_and_validation(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path)
    (folder / "val" / "2.png").write_bytes((folder / "train" / "4.png").read_bytes())
    (finding,) = check(folder)
    assert (finding.code, finding.id) == ("image-in-both", 2)
    assert str(folder / "train" / "4.png") in finding.message


def test_one_file_listed_in_both_is_found_without_reading_it(tmp_path: Path) -> None:
    content = folders.document(2)
    for image in content["images"]:
        folders.picture(tmp_path / "images" / image["file_name"], 64, 48, image["id"])
    for part in ("train", "val"):
        (tmp_path / f"instances_{part}.json").write_text(json.dumps(content))
    assert summary(check(tmp_path, decode=False)) == {"image-in-both": 2}


def test_an_orientation_that_the_size_cannot_tell_is_a_warning(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path)
    for name, orientation in (("1", 3), ("2", 6)):
        path = folder / "train" / f"{name}.png"
        exif = Image.Exif()
        exif[0x0112] = orientation
        with Image.open(path) as image:
            image.save(path, exif=exif)
    assert [(finding.code, finding.id) for finding in check(folder)] == [("orientation", 1)]


def test_evaluation_needs_only_its_own_split(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path, spoiled.box(5, 5, 0, 0))
    assert len(usable(folder, needs=("val",)).val.images) == 2
    with pytest.raises(DataError, match="box-empty"):
        usable(folder, needs=("train",))


def test_many_errors_are_counted_and_the_first_named(tmp_path: Path) -> None:
    def spoil(document: folders.Document) -> None:
        for annotation in document["annotations"]:
            annotation["bbox"] = [1, 1, 0, 0]

    with pytest.raises(DataError) as caught:
        usable(folders.coco(tmp_path, spoil))
    assert str(caught.value).startswith("8 errors in the data (box-empty 8): ")
    assert "and 5 more" in str(caught.value)
    assert "--drop-bad" in str(caught.value)


def test_one_error_is_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^1 error in the data \(box-empty 1\): "):
        usable(folders.coco(tmp_path, spoiled.box(1, 1, 0, 0)))


def test_boxes_are_said_to_be_made_of_masks_if_they_are(tmp_path: Path) -> None:
    def spoil(document: folders.Document) -> None:
        for annotation, points in zip(document["annotations"], ([], [4, 6, 24, 6, 24, 16]), strict=False):
            annotation.update(bbox=[], segmentation=[points])

    part = read(folders.coco(tmp_path, spoil))[0].train
    assert part.notes == ("1 box made of its segmentation",)
    assert len(part.annotations) == 7


def test_the_order_of_a_summary_is_by_gravity() -> None:
    findings = [Finding(code, "train", "x", "") for code in ("crowd", "box-empty", "file-unreadable")]
    assert list(summary(findings)) == ["file-unreadable", "box-empty", "crowd"]


def test_data_already_read_can_be_examined(tmp_path: Path) -> None:
    data = coco.load(folders.coco(tmp_path))
    assert examine(data) == []
    assert usable(data).train is data.train


def test_classes_without_boxes_are_named_where_they_lack_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders.coco(tmp_path, lambda document: document["categories"].append({"id": 8, "name": "fork"}))
    file = tmp_path / "val" / "annotations.json"
    document = json.loads(file.read_text())
    document["annotations"] = [box for box in document["annotations"] if box["category_id"] == 7]
    file.write_text(json.dumps(document))
    with caplog.at_level(logging.WARNING):
        usable(tmp_path)
    assert [message.split(": ", 1)[1] for message in caplog.messages] == [
        "category 'spoon' has no boxes in val: its AP is not measured",
        "category 'fork' has no boxes in train: it is not learned",
    ]
    fix(tmp_path, tmp_path / "mended")
    assert summary(check(tmp_path / "mended")) == summary(check(tmp_path)) == {"category-unused": 2}
