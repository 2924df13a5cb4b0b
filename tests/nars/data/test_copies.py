from __future__ import annotations

import shutil
from pathlib import Path

import folders

from nars.data import load


def _photos(root: Path, *splits: str) -> Path:
    for at, split in enumerate(splits):
        for name in ("cat", "dog"):
            for number in range(6):
                seed = 100 * at + 10 * len(name + split) + number + (50 if name == "dog" else 0)
                folders.picture(root / split / name / f"{number}.png", 20, 20, seed)
    return root


def test_a_renamed_copy_in_another_split_is_said(tmp_path: Path) -> None:
    root = _photos(tmp_path, "train", "val", "test")
    assert [part.notes for part in load(root).parts] == [(), (), ()]
    shutil.copy(root / "train" / "cat" / "3.png", root / "test" / "dog" / "renamed.png")
    shutil.copy(root / "val" / "cat" / "1.png", root / "test" / "cat" / "again.png")
    assert [part.notes for part in load(root).parts] == [
        (),
        (),
        ("2 of its images are in another split, too: cat/again.png is cat/1.png in val",),
    ]


def test_copies_that_a_cut_tears_apart_are_said(tmp_path: Path) -> None:
    root = _photos(tmp_path, ".")
    for number in range(6):
        shutil.copy(root / "cat" / "0.png", root / "cat" / f"copy{number}.png")
    said = [note for part in load(root).parts[1:] for note in part.notes if "in another split" in note]
    assert len(said) == 1
    assert [part.notes for part in load(root, whole=True).parts] == [
        ("not divided, since it is only measured",)
    ]
