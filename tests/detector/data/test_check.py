from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folders
import pytest
from PIL import Image

from detector.data import layouts as coco
from detector.data.check import check, examine, fix, read, usable
from detector.data.findings import RULES, Finding, summary
from nars.errors import DataError

Spoil = Callable[[folders.Document], object]


def _box(*box: float, index: int = 0) -> Spoil:
    return lambda document: document["annotations"][index].update(bbox=list(box))


def _annotation(**fields: object) -> Spoil:
    return lambda document: document["annotations"][0].update(fields)


def _image(**fields: object) -> Spoil:
    return lambda document: document["images"][0].update(fields)


def _resized(width: int, height: int, **fields: object) -> Spoil:
    """State another size of the first image, and other fields of its first box."""

    def spoil(document: folders.Document) -> None:
        document["images"][0].update(width=width, height=height)
        document["annotations"][0].update(fields)

    return spoil


def _unsized(**fields: object) -> Spoil:
    return _resized(0, 0, **fields)


def _without(key: str, image_id: int) -> Spoil:
    return lambda document: document.update(
        {key: [row for row in document[key] if row.get("image_id", row["id"]) != image_id]}
    )


# The change to the training annotations, the codes expected, and the id with the first of them.
SPOILED: dict[str, tuple[Spoil, dict[str, int], int | None]] = {
    "nothing": (lambda document: None, {}, None),
    "box left of its image": (_box(-30, 5, 20, 5), {"box-outside": 1}, 2),
    "box below its image": (_box(5, 48, 20, 5), {"box-outside": 1}, 2),
    "box over the border": (_box(50, 5, 20, 5), {"box-overhang": 1}, 2),
    "box over the border by rounding": (_box(-0.9, -1, 65.8, 49.9), {}, None),
    "box without width": (_box(5, 5, 0, 5), {"box-empty": 1}, 2),
    "box thinner than a float can tell": (_box(5, 5, 1e-18, 5), {"box-empty": 1}, 2),
    "box of negative height": (_box(5, 5, 5, -3), {"box-empty": 1}, 2),
    "box that is not a number": (_box(5, 5, float("nan"), 5), {"box-nonfinite": 1}, 2),
    "box from nowhere": (_box(5, float("nan"), 5, 5), {"box-nonfinite": 1}, 2),
    "box a hair outside": (_box(64, 5, 0.5, 5), {"box-outside": 1}, 2),
    "box that is infinite": (_box(5, 5, 5, float("inf")), {"box-nonfinite": 1}, 2),
    "box of three numbers": (_box(5, 5, 5), {"record-malformed": 1}, 2),
    "unknown category": (_annotation(category_id=99), {"category-unknown": 1}, 2),
    "unknown image": (_annotation(image_id=99), {"annotation-without-image": 1}, 2),
    "same annotation id": (_annotation(id=3), {"annotation-id-duplicate": 1}, 3),
    "crowd": (_annotation(iscrowd=1), {"crowd": 1}, 2),
    "polygon of two points": (_annotation(segmentation=[[1, 2, 3, 4]]), {"mask-malformed": 1}, 2),
    "missing file": (_image(file_name="none.png"), {"image-missing": 1}, 1),
    "same image id and file": (
        lambda document: document["images"].append(document["images"][1]),
        {"image-id-duplicate": 1, "file-duplicate": 1},
        2,
    ),
    "same image id, another file": (
        lambda document: document["images"][0].update(id=2),
        {"image-id-duplicate": 1, "annotation-without-image": 2},
        2,
    ),
    "same file, another id": (_image(file_name="2.png"), {"file-duplicate": 1}, 2),
    "other size": (_image(width=128), {"size-mismatch": 1}, 1),
    "transposed size": (_image(width=48, height=64), {"size-mismatch": 1}, 1),
    "no size": (lambda document: document["images"][0].pop("width"), {"size-mismatch": 1}, 1),
    "no size, and a box left of its image": (
        _unsized(bbox=[-30, 5, 20, 5]),
        {"size-mismatch": 1, "box-outside": 1},
        1,
    ),
    "no size, and a box over the border": (
        _unsized(bbox=[-5, 5, 20, 5]),
        {"size-mismatch": 1, "box-overhang": 1},
        1,
    ),
    "no size, and a mask of half a size": (
        _unsized(segmentation={"size": [48], "counts": [48 * 64]}),
        {"size-mismatch": 1, "mask-malformed": 1},
        1,
    ),
    "transposed size, and a mask of it": (
        _resized(48, 64, segmentation={"size": [64, 48], "counts": [48 * 64]}),
        {"size-mismatch": 1, "mask-malformed": 1},
        1,
    ),
    "transposed size, and a mask of the image": (
        _resized(48, 64, segmentation={"size": [48, 64], "counts": [48 * 64]}),
        {"size-mismatch": 1},
        1,
    ),
    "image without boxes": (_without("annotations", 1), {"image-without-boxes": 1}, 1),
    "unused category": (
        lambda document: document["categories"].append({"id": 8, "name": "fork"}),
        {"category-unused": 1},
        8,
    ),
    "category of another name": (
        lambda document: document["categories"][0].update(name="plate"),
        {"category-conflict": 1},
        7,
    ),
    "no boxes": (
        lambda document: document.update(annotations=[]),
        {"data-empty": 1},
        None,
    ),
    "no images": (lambda document: document.update(images=[], annotations=[]), {"data-empty": 1}, None),
}


@pytest.fixture(params=SPOILED)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, int], int | None]:
    spoil, codes, id = SPOILED[request.param]
    return folders.coco(tmp_path / "data", spoil), codes, id


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
    data = usable(folders.coco(tmp_path, SPOILED[name][0]), drop_bad=True)
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
    data = usable(folders.coco(tmp_path, _box(50, -10, 20, 20)), drop_bad=True)
    assert data.train.annotations[0].box == (50, 0, 14, 10)
    assert data.train.annotations[0].area == 140


def test_renumbered_annotations_have_new_ids(tmp_path: Path) -> None:
    data = usable(folders.coco(tmp_path, _annotation(id=3)), drop_bad=True)
    ids = [annotation.id for annotation in data.train.annotations]
    assert len(set(ids)) == len(ids) == 8


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
    folder = folders.coco(tmp_path, _box(5, 5, 0, 0))
    assert len(usable(folder, needs=("val",)).val.images) == 2
    with pytest.raises(DataError, match="box-empty"):
        usable(folder, needs=("train",))


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
        usable(folders.coco(tmp_path, _box(1, 1, 0, 0)))


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
