"""Splits whose pictures lie in one folder, with a list of their classes: ILSVRC by its public description."""

from __future__ import annotations

from pathlib import Path

import folders
import pytest

from nars.data import load
from nars.errors import DataError

SYNSETS = ("n01440764", "n01443537", "n02012849")
VAL = [f"ILSVRC2012_val_{number:08d}" for number in range(1, 7)]


def ilsvrc(root: Path) -> Path:
    """Train in synset folders; val and test are flat."""
    for at, synset in enumerate(SYNSETS):
        for number in range(6):
            folders.picture(root / "train" / synset / f"{synset}_{number}.jpeg", 8, 8, 10 * at + number)
    for number, name in enumerate(VAL):
        folders.picture(root / "val" / f"{name}.jpeg", 8, 8, 100 + number)
        folders.picture(root / "test" / f"ILSVRC2012_test_{number:08d}.jpeg", 8, 8, 200 + number)
    return root


def listed(line: str) -> str:
    """A list with a line for each picture of val, whose class goes round."""
    return "\n".join(line.format(name=name, at=at % 3, synset=SYNSETS[at % 3]) for at, name in enumerate(VAL))


SOLUTION = f"ImageId,PredictionString\n{listed('{name},{synset} 1 2 9 9 {synset} 3 4 8 8 ')}"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("LOC_val_solution.csv", SOLUTION),
        ("data/val.txt", listed("{name}.jpeg {at}")),
        ("data/val/labels.tsv", listed("val/{name}.jpeg\t{synset}")),
    ],
)
def test_a_flat_split_has_its_classes_from_a_list(file: str, text: str, tmp_path: Path) -> None:
    ilsvrc(tmp_path / "data")
    (tmp_path / file).write_text(text)
    data = load(tmp_path)
    assert data.classes == SYNSETS
    assert data.val.labels.tolist() == [0, 1, 2, 0, 1, 2]
    train, val, test = (part.line() for part in data.parts)
    assert f"classes of val by {Path(file).name}" in val
    assert "passed over: 6 pictures in test that are in no class folder" in train
    assert "cut from train, since there is none" in test


def test_the_archive_of_a_challenge_has_annotations_beside_its_data(tmp_path: Path) -> None:
    ilsvrc(tmp_path / "ILSVRC" / "Data" / "CLS-LOC")
    for name in ("Annotations", "ImageSets"):
        (tmp_path / "ILSVRC" / name / "CLS-LOC").mkdir(parents=True)
    numbers = "\n".join(f"{name} {number}" for number, name in enumerate(VAL, start=1))
    (tmp_path / "ILSVRC" / "ImageSets" / "CLS-LOC" / "val.txt").write_text(numbers)
    (tmp_path / "LOC_val_solution.csv").write_text(SOLUTION)
    data = load(tmp_path)
    assert data.val.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert "in its only folder, ILSVRC/Data/CLS-LOC" in data.parts[0].line()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            None,
            r"expected val/CLASS/\*.jpg, or a list beside it, NAME CLASS in each line",
        ),
        ("231231", "val is a split without class folders"),  # the devkit's, which names no picture
        (
            listed("{name}.jpeg {at}").partition("\n")[2],
            r"has 5 of the 6 pictures in \S*: \S*1.jpeg is not",
        ),
        (
            listed("{name} {at}").replace(" 2", " 3"),
            "val.txt, line 3: no class '3' among the 3 folders of train",
        ),
        (listed("{name} n09999999"), "val.txt, line 1: no class 'n09999999'"),
        (
            listed("{name} {synset} 1 2 n02012849"),
            "line 1 has the classes n01440764, n02012849; a classifier",
        ),
    ],
)
def test_lists_that_leave_a_class_in_doubt(text: str | None, message: str, tmp_path: Path) -> None:
    ilsvrc(tmp_path)
    if text is not None:
        (tmp_path / "val.txt").write_text(text)
    with pytest.raises(DataError, match=rf"{message}[^\n]*$"):
        load(tmp_path)


def test_a_table_without_pictures_in_its_head_does_not_hide_the_folders(tmp_path: Path) -> None:
    ilsvrc(tmp_path / "images")
    (tmp_path / "notes.csv").write_text("when,who\n1,2\n")
    with pytest.raises(DataError, match="val is a split without class folders"):
        load(tmp_path)
