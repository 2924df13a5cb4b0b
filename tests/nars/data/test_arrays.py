"""Arrays in an .npz file, and what their mistakes say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nars.data import load
from nars.errors import DataError


def arrays(**changes: Any) -> dict[str, Any]:
    x = np.arange(20 * 6 * 6 * 3, dtype=np.uint32).astype(np.uint8).reshape(20, 6, 6, 3)
    y = np.arange(20) % 2
    content: dict[str, Any] = {"classes": np.array(["a", "b"])}
    for split in ("train", "val", "test"):
        content |= {f"x_{split}": x, f"y_{split}": y}
    content |= changes
    return {key: value for key, value in content.items() if value is not None}


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        np.savez(tmp_path / "data.npz", **arrays(**changes))
        return tmp_path / "data.npz"

    return write


def test_npz(npz: Callable[..., Path], tmp_path: Path) -> None:
    data = load(npz())
    assert data.classes == ("a", "b")
    assert data.train.sample().shape == (20, 3, 6, 6)
    assert load(npz(classes=np.array(["a", "ä"]))).classes == ("a", "ä")
    assert load(npz(classes=np.array([b"a", "ä".encode()]))).classes == ("a", "ä")
    cut_off = load(npz(x_val=None, y_val=None, x_test=None, y_test=None))
    assert [len(cut_off.split(name)) for name in ("train", "val", "test")] == [12, 4, 4]
    assert cut_off.fingerprint != data.fingerprint
    assert load(npz(classes=None)).classes == ("0", "1")
    wide = np.zeros((20, 6, 10), dtype=np.uint8)
    assert load(npz(x_train=wide)).train.sample().shape == (20, 1, 6, 6)
    capitals = npz().rename(tmp_path / "DATA.NPZ")
    assert len(load(capitals).train) == len(data.train)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None, "xtrain": np.zeros((20, 6, 6), np.uint8)}, "key 'xtrain': did you mean 'x_train'"),
        ({"x_val": None}, "key 'x_val' is missing; there are: x_train, y_train, y_val"),
        ({"x_train": np.zeros((20, 6, 6))}, "x_train is float64; images must be uint8"),
        ({"x_test": np.zeros((20, 6), np.uint8)}, r"x_test has shape \(20, 6\); images must be N,H,W"),
        ({"y_val": np.zeros(20)}, "y_val is float64; labels must be integers"),
        ({"y_val": np.zeros(19, int)}, r"y_val has shape \(19,\); x_val has 20 images"),
        ({"y_test": np.full(20, 2)}, r"y_test has label 2 \(image 0\); labels of 2 classes are 0..1"),
        ({"y_train": np.arange(20) - 1}, r"y_train has label -1 \(image 0\)"),
        ({"y_train": np.zeros(20, int)}, "y_train has one class"),
        ({"x_val": np.zeros((0, 6, 6), np.uint8), "y_val": np.zeros(0, int)}, "x_val has no images"),
        ({"classes": np.array("a")}, r"classes have shape \(\)"),
        ({"classes": np.array(["a", "a"])}, "two classes are called 'a'"),
        ({"classes": np.array([b"a", b"\xe4"])}, "classes has names that are not UTF-8"),
        ({"x_train": np.array([None] * 20)}, "Object arrays cannot be loaded"),
    ],
)
def test_bad_npz(npz: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    path = npz(**changes)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_npz_cut_short(npz: Callable[..., Path]) -> None:
    path = npz()
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"cannot read .*data.npz: File is not a zip file"):
        load(path)


def test_one_split_that_is_measured_stays_whole(npz: Callable[..., Path]) -> None:
    alone: dict[str, Any] = {"x_val": None, "y_val": None, "x_test": None, "y_test": None}
    data = load(npz(**alone, y_train=np.zeros(20, int)), whole=True)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [20, 20, 20]
    assert [part.line() for part in data.parts] == [
        "all: 20 images, 2 classes (a, b); arrays; not divided, since it is only measured"
    ]
    divided = load(npz(x_val=None, y_val=None), whole=True)
    assert [len(divided.split(name)) for name in ("train", "val", "test")] == [16, 4, 20]


@pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "colour"])
def test_images_that_are_no_squares_become_some(npz: Callable[..., Path], colours: tuple[int, ...]) -> None:
    """They were cropped, while the file of the weights said that they were squashed."""
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 8, *colours), dtype=np.uint8)
    data = load(npz(**dict.fromkeys(("x_train", "x_val", "x_test"), x)))
    wide = torch.from_numpy(x[:, None] if not colours else x.transpose(0, 3, 1, 2).copy())
    assert torch.equal(data.train.sample(), wide[..., 2:6])
    boxed, squashed = (data.fitted(fit).val.sample() for fit in ("letterbox", "squash"))
    assert boxed.shape == squashed.shape == (20, colours[0] if colours else 1, 8, 8)
    assert torch.equal(boxed[:, :, 2:6], wide)
    assert len(boxed[:, :, :2].unique()) == 1
    assert torch.equal(data.fitted("squash").fitted("crop").test.sample(), data.test.sample())
    assert data.fitted("crop") is data


def test_copies_in_another_split_are_said(npz: Callable[..., Path]) -> None:
    x = arrays()["x_train"]
    others = {"x_train": x, "x_val": 255 - x, "x_test": np.stack([x[3], *(255 - x[:19] // 2)])}
    assert [part.notes for part in load(npz(**others)).parts] == [
        (),
        (),
        ("1 of its images is in another split, too: x_test[0] is x_train[3] in train",),
    ]
    alone = {"x_val": None, "y_val": None, "x_test": None, "y_test": None}
    said = [part.notes[1:] for part in load(npz(x_train=np.zeros_like(x), **alone)).parts[1:]]
    assert all("4 of its images are in another split, too: x_train[" in note for (note,) in said)
