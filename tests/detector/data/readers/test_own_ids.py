from __future__ import annotations

import json
from pathlib import Path

import folders
import pytest

from detector.data.check import check, fix, usable
from detector.data.layouts import load
from detector.data.readers.own_ids import own
from detector.deploy.ids import Ids


def _renamed(folder: Path) -> Path:
    """A data set whose ids are texts: of images by their file, of categories by their name."""
    folders.coco(folder)
    for split in ("train", "val"):
        file = folder / split / "annotations.json"
        document = json.loads(file.read_text())
        titles = {row["id"]: f"cat-{row['name']}" for row in document["categories"]}
        names = {row["id"]: f"{split}-{row['file_name']}" for row in document["images"]}
        for row in document["images"]:
            row["id"] = names[row["id"]]
        for row in document["annotations"]:
            row |= {
                "id": f"a{row['id']}",
                "image_id": names[row["image_id"]],
                "category_id": titles[row["category_id"]],
            }
        categories = [row | {"id": titles[row["id"]]} for row in document["categories"]]
        document["categories"] = categories if split == "train" else categories[::-1]
        file.write_text(json.dumps(document))
    return folder


def test_texts_are_read_and_kept(tmp_path: Path) -> None:
    data = usable(_renamed(tmp_path))
    plain = usable(folders.coco(tmp_path / "plain"))
    assert data.classes == ("cup", "spoon")  # in their order in the file
    boxes = [[box.box for box in subset.annotations] for subset in data.subsets]
    assert boxes == [[box.box for box in subset.annotations] for subset in plain.subsets]
    result = {"image_id": data.val.images[1].id, "category_id": data.categories[1].id, "score": 0.5}
    assert own([result], data.val) == [{"image_id": "val-2.png", "category_id": "cat-spoon", "score": 0.5}]
    ids = Ids(("spoon",), data)
    assert ids.category_of == {1: "cat-spoon"}
    assert ids.image(1, str(tmp_path / "train" / "3.png")) == "train-3.png"


def test_texts_of_numbers_stay_texts_in_results(tmp_path: Path) -> None:
    def spoil(document: folders.Document) -> None:
        for row in document["images"]:
            row["id"] = f"00{row['id']}"
        for row in document["annotations"]:
            row["image_id"] = f"00{row['image_id']}"

    data = load(folders.coco(tmp_path, spoil))
    assert [image.id for image in data.train.images] == [1, 2, 3, 4]
    assert own([{"image_id": 3, "category_id": 7}], data.train) == [{"image_id": "003", "category_id": 7}]
    assert own([{"image_id": 2, "category_id": 7}], data.val) == [{"image_id": 2, "category_id": 7}]


@pytest.mark.parametrize("rows", [None, {"id": "a"}, 3])
def test_annotations_that_are_no_list_are_a_finding_beside_texts(tmp_path: Path, rows: object) -> None:
    file = _renamed(tmp_path) / "val" / "annotations.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"annotations": rows}))
    words = f"annotations must be a list, not a {type(rows).__name__}"
    assert words in [finding.message for finding in check(tmp_path)]


def test_a_mended_copy_has_the_same_ids(tmp_path: Path) -> None:
    fix(_renamed(tmp_path / "data"), tmp_path / "new")
    written = json.loads((tmp_path / "new" / "val" / "annotations.json").read_text())
    assert [row["id"] for row in written["images"]] == ["val-1.png", "val-2.png"]
    assert {row["category_id"] for row in written["annotations"]} == {"cat-cup", "cat-spoon"}
