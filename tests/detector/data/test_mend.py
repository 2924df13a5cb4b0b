from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import folders
import pytest
import spoiled

from detector.data.check import check, examine, fix, usable
from detector.data.findings import RULES
from nars.errors import DataError


def test_what_is_left_after_dropping_has_no_errors(
    case: tuple[Path, dict[str, int], int | None], caplog: pytest.LogCaptureFixture
) -> None:
    folder, codes, _ = case
    if any(RULES[code].remedy == "refuse" for code in codes):
        with pytest.raises(DataError):
            usable(folder, drop_bad=True)
        return
    with caplog.at_level(logging.WARNING):
        data = usable(folder, drop_bad=True)
    assert not [finding for finding in examine(data) if finding.severity == "error"]
    stay = ("keep", "leave out", "leave out image")
    changes = [message for message in caplog.messages if "has no boxes in" not in message]
    assert bool(changes) == any(RULES[code].remedy not in stay for code in codes)


def test_the_mended_copy_is_clean(case: tuple[Path, dict[str, int], int | None], tmp_path: Path) -> None:
    folder, codes, _ = case
    out = tmp_path / "mended"
    if any(RULES[code].remedy == "refuse" for code in codes):
        with pytest.raises(DataError):
            fix(folder, out)
        assert not out.exists()
        return
    changes = fix(folder, out)
    assert bool(changes) == any(RULES[code].remedy != "keep" for code in codes)
    left = check(out)
    assert all(finding.remedy == "keep" for finding in left)


@pytest.mark.parametrize(
    ("name", "boxes", "images"),
    [
        ("box without width", 7, 4),
        ("box over the border", 8, 4),
        ("box of three numbers", 7, 4),
        ("same annotation id", 8, 4),
        ("missing file", 6, 3),
        ("other size", 6, 3),
        ("transposed size", 8, 4),
        ("no size", 8, 4),
        ("same image id and file", 8, 4),
        ("same image id, another file", 4, 2),
    ],
)
def test_no_more_is_dropped_than_must_be(tmp_path: Path, name: str, boxes: int, images: int) -> None:
    data = usable(folders.coco(tmp_path, spoiled.SPOILED[name][0]), drop_bad=True)
    assert (len(data.train.annotations), len(data.train.images)) == (boxes, images)


def test_a_transposed_size_is_mended_only_if_the_boxes_fit(tmp_path: Path) -> None:
    def spoil(document: folders.Document) -> None:
        for image in document["images"][:2]:
            image.update(width=48, height=64)
        document["annotations"][0]["bbox"] = [10, 20, 20, 40]  # of image 1: down to 60 of 48

    data = usable(folders.coco(tmp_path, spoil), drop_bad=True)
    assert [image[0] for image in data.train.images] == [2, 3, 4]
    assert data.train.images[0][2:] == (64, 48)
    assert len(data.train.annotations) == 6


def test_what_a_change_brings_to_light_is_mended_too(tmp_path: Path) -> None:
    def spoil(document: folders.Document) -> None:
        first, second = (image["id"] for image in document["images"][:2])
        boxes = [row for row in document["annotations"] if row["image_id"] == first]
        others = [row for row in document["annotations"] if row["image_id"] not in (first, second)]
        twice = [row | {"id": 100 + n, "image_id": second} for n, row in enumerate([*boxes, *boxes])]
        document["annotations"] = [*boxes, *twice, *others]

    folder = folders.coco(tmp_path / "data", spoil)
    first, second = json.loads((folder / "train/annotations.json").read_text())["images"][:2]
    (folder / "train" / second["file_name"]).write_bytes((folder / "train" / first["file_name"]).read_bytes())
    fix(folder, tmp_path / "mended")  # without boxes that are there twice, one image is a copy of the other
    assert not [finding for finding in check(tmp_path / "mended") if finding.remedy != "keep"]


def test_clipped_boxes_end_at_the_border(tmp_path: Path) -> None:
    data = usable(folders.coco(tmp_path, spoiled.box(50, -10, 20, 20)), drop_bad=True)
    assert data.train.annotations[0].box == (50, 0, 14, 10)
    assert data.train.annotations[0].area == 140


def test_renumbered_annotations_have_new_ids(tmp_path: Path) -> None:
    data = usable(folders.coco(tmp_path, spoiled.annotation(id=3)), drop_bad=True)
    ids = [annotation.id for annotation in data.train.annotations]
    assert len(set(ids)) == len(ids) == 8


def test_a_copy_without_boxes_but_crowds_is_not_written(tmp_path: Path) -> None:
    def only_crowds(document: Any) -> None:
        crowd = document["annotations"][0] | {"id": 99, "iscrowd": 1}
        for annotation in document["annotations"]:
            annotation["bbox"] = [5, 5, 0, 0]
        document["annotations"].append(crowd)

    folder = folders.coco(tmp_path, only_crowds)
    with pytest.raises(DataError, match="nothing to train on is left"):
        fix(folder, tmp_path / "fixed")
    assert not (tmp_path / "fixed").exists()


def test_dropping_everything_is_refused(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path)
    for path in (folder / "train").glob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match="nothing to train on is left"):
        usable(folder, drop_bad=True)
