from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nars.data import read_rgb
from nars.errors import DataError


def bits16(path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(path)


def rgba(path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(path)


def palette(path: Path) -> None:
    Image.new("RGB", (4, 4), (255, 0, 0)).convert("P").save(path)


def grey(path: Path) -> None:
    Image.new("L", (4, 4), 7).save(path)


def one_bit(path: Path) -> None:
    Image.new("1", (4, 4), 1).save(path)


@pytest.mark.parametrize(
    ("save", "expected"),
    [
        (bits16, (155, 155, 155)),  # 40000 / 257
        (rgba, (255, 255, 255)),  # nothing of the red shows
        (palette, (255, 0, 0)),
        (grey, (7, 7, 7)),
        (one_bit, (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, save: Callable[[Path], None], expected: tuple[int, int, int]
) -> None:
    save(tmp_path / "picture.png")
    image = read_rgb(tmp_path / "picture.png")
    assert image.mode == "RGB"
    assert image.getpixel((1, 1)) == expected


def test_exif_turns_the_picture(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 8))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").size == (8, 16)


def test_a_jpeg_may_come_smaller_but_not_too_small(tmp_path: Path) -> None:
    Image.new("RGB", (640, 480)).save(tmp_path / "large.jpg")
    width, height = read_rgb(tmp_path / "large.jpg", 100).size
    assert 100 <= height < 480
    assert width > height


def test_floats_are_refused(tmp_path: Path) -> None:
    Image.new("F", (4, 4)).save(tmp_path / "float.tiff")
    with pytest.raises(DataError, match=r"float.tiff: pixels are floats"):
        read_rgb(tmp_path / "float.tiff")
