"""Data sets of Hugging Face's package from local folders; nothing here asks a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nars.data import load
from nars.errors import DataError
from nars.foreign.paths import allow

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def picture(level: int) -> Image.Image:
    return Image.fromarray(np.full((6, 8, 3), level, dtype=np.uint8))


def saved(folder: Path, splits: dict[str, int], label: Any = None, **columns: Any) -> Path:
    """A data set with as many images for each split; an image's level is its number, its label the parity."""
    made = {}
    for split, count in splits.items():
        content = {
            "pixels": [picture(level) for level in range(count)],
            "kind": [n % 2 for n in range(count)],
        }
        types = {"pixels": datasets.Image(), "kind": label or datasets.ClassLabel(names=["even", "odd"])}
        content |= {name: values[:count] for name, values in columns.items()}
        features = datasets.Features(types | {name: datasets.Value("string") for name in columns})
        made[split] = datasets.Dataset.from_dict(content, features=features)
    datasets.DatasetDict(made).save_to_disk(folder)
    return folder


def test_a_saved_data_set(tmp_path: Path) -> None:
    data = load(f"hf:{saved(tmp_path / 'set', {'train': 12, 'validation': 4, 'test': 4, 'extra': 2})}")
    assert (data.name, data.classes) == ("set", ("even", "odd"))
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [12, 4, 4]
    assert data.train.sample()[:, 0, 3, 3].tolist() == list(range(12))
    assert data.train.labels.tolist() == [0, 1] * 6
    assert load(f"hf:{tmp_path / 'set'}").fingerprint == data.fingerprint
    other = load(f"hf:{saved(tmp_path / 'other', {'train': 14, 'validation': 4, 'test': 4})}")
    assert other.fingerprint != data.fingerprint
    assert data.fitted("letterbox").train.sample()[0, 0, 0, 0] == 114  # 8 x 6 pixels


def test_one_split_is_cut(tmp_path: Path) -> None:
    made = datasets.load_from_disk(str(saved(tmp_path / "set", {"train": 20})))["train"]
    made.save_to_disk(tmp_path / "alone")
    data = load(f"hf:{tmp_path / 'alone'}")
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [12, 4, 4]


def test_a_folder_of_images(tmp_path: Path) -> None:
    for number in range(10):
        for split, name in (("train", "cat"), ("train", "dog"), ("test", "cat"), ("test", "dog")):
            path = tmp_path / "photos" / split / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(number).save(path)
    data = load(f"hf:{tmp_path / 'photos'}")
    assert data.classes == ("cat", "dog")
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [16, 4, 20]
    assert torch.equal(data.test.sample(), load(tmp_path / "photos").test.sample())


def test_labels_of_other_types(tmp_path: Path) -> None:
    made = saved(tmp_path / "numbers", {"train": 20}, label=datasets.Value("int64"))
    with pytest.raises(
        DataError, match=r"has no column of type ClassLabel; its columns: pixels \(Image\), kind"
    ):
        load(f"hf:{made}")
    renamed = datasets.load_from_disk(str(made)).rename_column("kind", "label")
    renamed.save_to_disk(tmp_path / "named")
    assert load(f"hf:{tmp_path / 'named'}").classes == ("0", "1")


@pytest.mark.parametrize("withheld", [-1, None])
def test_withheld_labels_are_no_split(withheld: int | None, tmp_path: Path) -> None:
    made = datasets.load_from_disk(str(saved(tmp_path / "set", {"train": 20, "test": 4})))
    made["test"] = made["test"].map(lambda row: {"kind": withheld}, features=made["test"].features)
    made.save_to_disk(tmp_path / "withheld")
    assert len(load(f"hf:{tmp_path / 'withheld'}").test) == 4  # cut from train
    assert len(load(f"hf:{tmp_path / 'withheld'}").train) == 12
    made["train"] = datasets.concatenate_datasets([made["train"], made["test"]])
    made.save_to_disk(tmp_path / "unlabelled")
    with pytest.raises(DataError, match="unlabelled, train row 21: there is no label"):
        load(f"hf:{tmp_path / 'unlabelled'}")


def test_a_bad_picture_is_named_or_left_out(tmp_path: Path) -> None:
    made = datasets.load_from_disk(str(saved(tmp_path / "set", {"train": 20})))
    bad = [
        {"bytes": b"no picture", "path": None},
        *made["train"].cast_column("pixels", datasets.Image(decode=False))["pixels"][1:],
    ]
    spoiled = datasets.Dataset.from_dict(
        {"pixels": bad, "kind": made["train"]["kind"]}, features=made["train"].features
    )
    spoiled.save_to_disk(tmp_path / "bad")
    with pytest.raises(DataError, match=r"^cannot read train image 0: not an image; .* with --drop-bad$"):
        load(f"hf:{tmp_path / 'bad'}")
    assert load(f"hf:{tmp_path / 'bad'}", drop_bad=True).dropped == (
        "cannot read train image 0: not an image",
    )


def test_a_file_outside_of_the_data_set_needs_to_be_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NARS_ALSO_FROM", "")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "caches" / "datasets")
    secret = tmp_path / "private" / "scan.png"
    secret.parent.mkdir()
    picture(7).save(secret)
    home = tmp_path / "home" / "set"
    for number in range(12):
        path = home / "train" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    made = [{"bytes": None, "path": str(home / "train" / f"{number}.png")} for number in range(11)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    content = {"image": [*made, {"bytes": None, "path": str(secret)}], "label": [0, 1] * 6}
    monkeypatch.setattr(
        "nars.data.readers.hub._load",
        lambda name: {"train": datasets.Dataset.from_dict(content, features=features)},
    )
    with pytest.raises(
        DataError, match=r"scan\.png leads out of the data set: allow it with --also-from \S+private$"
    ):
        load(f"hf:{home}")
    allow([secret.parent])
    assert load(f"hf:{home}").train.sample().shape[0] > 0


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match=r"^cannot load hf:nobody/nothing: .*; a copy of it in a folder is hf:FOLDER"
    ):
        load("hf:nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"^cannot load hf:\S*empty: "):
        load(f"hf:{tmp_path / 'empty'}")
    with pytest.raises(DataError, match="has no split train"):
        load(f"hf:{saved(tmp_path / 'test', {'test': 4})}")
    datasets.Dataset.from_dict({"text": ["a"], "label": [1]}).save_to_disk(tmp_path / "text")
    with pytest.raises(DataError, match=r"has no column of type Image; its columns: text \(Value\), label"):
        load(f"hf:{tmp_path / 'text'}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"^hf:x needs a package: pip install 'nars\[hf\]'$"):
        load("hf:x")


def test_one_split_that_is_measured_stays_whole(tmp_path: Path) -> None:
    data = load(f"hf:{saved(tmp_path / 'set', {'train': 12})}", whole=True)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [12, 12, 12]
    assert [part.name for part in data.parts] == ["all"]


def test_splits_that_differ_in_their_columns(tmp_path: Path) -> None:
    parity = datasets.ClassLabel(names=["odd", "even"])
    whole, other = saved(tmp_path / "whole", {"train": 12}), saved(tmp_path / "other", {"test": 4}, parity)
    train, test = (datasets.load_from_disk(folder) for folder in (whole, other))
    for name, rows in (
        ("moved", test["test"]),
        ("unlabelled", test["test"].remove_columns("kind")),
        ("none", test["test"].remove_columns("pixels")),
    ):
        datasets.DatasetDict({"train": train["train"], "test": rows}).save_to_disk(tmp_path / name)
    moved = load(f"hf:{tmp_path / 'moved'}")
    assert (moved.classes, moved.test.labels.tolist()) == (("even", "odd"), [1, 0, 1, 0])
    cut = load(f"hf:{tmp_path / 'unlabelled'}").parts[2]
    assert cut.notes[0] == "cut from train, since there is none"
    with pytest.raises(DataError, match="test has no column pixels; its columns: kind"):
        load(f"hf:{tmp_path / 'none'}")
