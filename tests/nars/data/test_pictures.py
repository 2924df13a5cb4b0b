from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from nars.data import Fit, Picture, read_rgb, square
from nars.data.pictures import PAD, read_square
from nars.errors import DataError
from nars.spec import Recipe


def bits16(path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(path)


def rgba(path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(path)


def palette(path: Path) -> None:
    Image.new("RGB", (4, 4), (255, 0, 0)).convert("P").save(path)


def grey(path: Path) -> None:
    Image.new("L", (4, 4), 7).save(path)


def cmyk(path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(path.with_suffix(".jpg"))
    path.with_suffix(".jpg").rename(path)


def clear_palette(path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 200, 0, 0])
    image.save(path, transparency=bytes([255, 0]))


def clear_grey(path: Path) -> None:
    Image.new("LA", (4, 4), (30, 0)).save(path)


def animated(path: Path) -> None:
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ("blue", "red"))
    first.save(path.with_suffix(".gif"), save_all=True, append_images=[second])
    path.with_suffix(".gif").rename(path)


def bits16_tiff(path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(path.with_suffix(".tiff"))
    path.with_suffix(".tiff").rename(path)


def white_is_zero(path: Path) -> None:
    image = Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16))
    image.save(path.with_suffix(".tiff"), tiffinfo={262: 0})
    path.with_suffix(".tiff").rename(path)


def one_bit(path: Path) -> None:
    Image.new("1", (4, 4), 1).save(path)


@pytest.mark.parametrize(
    ("save", "expected"),
    [
        (bits16, (155, 155, 155)),  # 40000 / 257
        (bits16_tiff, (155, 155, 155)),
        (white_is_zero, (100, 100, 100)),
        (cmyk, (255, 0, 0)),
        (clear_palette, (255, 255, 255)),
        (clear_grey, (255, 255, 255)),
        (animated, (0, 0, 255)),  # its first frame
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


def test_integers_without_a_known_white_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 200, np.int32)).save(tmp_path / "wide.tiff")
    with pytest.raises(DataError, match=r"wide.tiff: pixels are integers of 32 bits or with a sign"):
        read_rgb(tmp_path / "wide.tiff")
    (tmp_path / "grey.pgm").write_bytes(b"P5 2 1 65535\n" + np.array([0, 65535], ">u2").tobytes())
    grey = np.asarray(read_rgb(tmp_path / "grey.pgm"))  # of 16 bits, which Pillow holds in 32
    assert grey.max(axis=2).tolist() == [[0, 255]]


def test_a_truncated_jpeg_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"^cannot read image \S*cut.jpg: .*truncated"):
        read_rgb(path)


def three_stripes() -> Image.Image:
    """A picture of 60 x 20 pixels: red, green and blue squares."""
    image = Image.new("RGB", (60, 20))
    for at, colour in enumerate(("red", "lime", "blue")):
        image.paste(colour, (20 * at, 0, 20 * at + 20, 20))
    return image


@pytest.mark.parametrize(
    ("fit", "left", "centre", "top"),
    [
        ("crop", (0, 255, 0), (0, 255, 0), (0, 255, 0)),
        ("squash", (255, 0, 0), (0, 255, 0), (0, 255, 0)),
        ("letterbox", (255, 0, 0), (0, 255, 0), PAD),
    ],
)
def test_a_picture_becomes_a_square(
    fit: Fit, left: tuple[int, ...], centre: tuple[int, ...], top: tuple[int, ...]
) -> None:
    made = square(three_stripes(), 30, fit)
    assert made.shape == (3, 30, 30)
    assert tuple(made[:, 15, 1].tolist()) == left
    assert tuple(made[:, 15, 15].tolist()) == centre
    assert tuple(made[:, 1, 15].tolist()) == top
    if fit == "letterbox":  # 30 x 10, in the middle
        rows = (made[:, :, 15] != made.new_tensor(PAD).view(3, 1)).any(0).nonzero().flatten().tolist()
        assert rows == list(range(10, 20))
    picture = Picture("stripes", 0, lambda side: three_stripes(), fit=fit)
    assert (read_square(picture, 30) == made).all()


@pytest.mark.parametrize("fit", get_args(Fit))
def test_every_fit_takes_extreme_pictures_and_leaves_squares(fit: Fit) -> None:
    assert square(Image.new("RGB", (5000, 2)), 8, fit).shape == (3, 8, 8)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert (square(Image.fromarray(pixels), 8, fit).permute(1, 2, 0).numpy() == pixels).all()


def test_fits_are_those_of_a_recipe() -> None:
    assert get_args(Recipe.model_fields["fit"].annotation) == get_args(Fit)
