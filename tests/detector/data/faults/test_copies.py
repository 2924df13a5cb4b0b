from __future__ import annotations

import json
import shutil
from pathlib import Path

import folders
import pytest

from detector.data.check import check, fix, usable
from detector.data.findings import Finding, summary


def _with_a_copy(folder: Path, split: str, changes: object = None) -> Path:
    """A copy of the first training picture under another name, with its boxes, or with others."""
    folders.coco(folder)
    file = folder / split / "annotations.json"
    document = json.loads(file.read_text())
    shutil.copy(folder / "train" / "1.png", folder / split / "renamed.png")
    document["images"].append(document["images"][0] | {"id": 50, "file_name": "renamed.png"})
    document["annotations"] += [
        row | {"id": 60 + row["id"], "image_id": 50} | ({} if changes is None else {"bbox": changes})
        for row in document["annotations"][:2]
    ]
    file.write_text(json.dumps(document))
    return folder


def test_a_copy_in_a_part_is_left_out(tmp_path: Path) -> None:
    folder = _with_a_copy(tmp_path / "data", "train")
    (finding,) = check(folder)
    assert (finding.code, finding.id) == ("image-duplicate", 50)
    assert str(folder / "train" / "1.png") in finding.message
    assert len(usable(folder).train.images) == 5  # a training takes it as it is
    changes = fix(folder, tmp_path / "new")
    assert [change.endswith("image dropped with 2 annotations") for change in changes] == [True]
    assert check(tmp_path / "new") == []


def test_a_copy_with_other_boxes_is_the_users_to_decide(tmp_path: Path) -> None:
    folder = _with_a_copy(tmp_path / "data", "train", changes=[1, 1, 30, 30])
    assert summary(check(folder)) == {"image-ambiguous": 1}
    assert fix(folder, tmp_path / "new") == []


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_renamed_copy_in_another_part_is_a_leak(tmp_path: Path, split: str) -> None:
    folder = tmp_path / "data"
    if split == "test":
        _with_a_copy(tmp_path / "other", "train")
        folders.coco(folder)
        shutil.copytree(tmp_path / "other" / "train", folder / "test")
    else:
        _with_a_copy(folder, split)
    leaks = [finding for finding in check(folder) if finding.code == "image-in-both"]
    assert {finding.split for finding in leaks} == {split}
    assert Path(leaks[-1].file).name == "renamed.png"
    notes = usable(folder, needs=("train", "val")).parts[1 if split == "val" else 2].notes
    assert any("in another part, too" in note and str(len(leaks)) in note for note in notes)


def test_findings_of_a_test_part_are_no_records_to_mend(tmp_path: Path) -> None:
    folder = folders.coco(tmp_path / "data")
    shutil.copytree(folder / "train", folder / "test")
    found: list[Finding] = check(folder)
    assert summary(found) == {"image-in-both": 4}
    assert [change for change in fix(folder, tmp_path / "new") if "test" in change] == [
        f"{folder / 'test' / 'annotations.json'}: the part test is not in the copy"
    ]
