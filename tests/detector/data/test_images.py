from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from detector.data import images
from nars.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def _saved(path: Path, image: Image.Image, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


def _pixels(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    tensor = images.read(path, size)
    assert tensor.dtype == torch.uint8
    assert tensor.is_contiguous()
    return tensor.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    np.testing.assert_array_equal(_pixels(path), np.array(image.convert("RGB")))


def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    grey = np.array([[0, 257, 32896], [65535, 13107, 256]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    expected = [[0, 1, 128], [255, 51, 1]]
    assert abs(_pixels(tmp_path / "a.png")[:, :, 0].astype(int) - expected).max() <= 1


def test_a_palette_with_transparent_entries_gives_no_warning(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(8)
    image.save(tmp_path / "a.png", transparency=bytes([0, 128] + [255] * 6))
    assert _pixels(tmp_path / "a.png").shape == RGB.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_without_a_data_set_a_picture_is_turned_as_its_note_says(tmp_path: Path, orientation: int) -> None:
    path = _saved(tmp_path / "a.png", Image.fromarray(RGB), orientation)
    with Image.open(path) as image:
        np.testing.assert_array_equal(_pixels(path), np.array(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_stated_size_decides_the_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = _saved(tmp_path / f"a.{suffix}", Image.fromarray(RGB), orientation)
    with Image.open(path) as image:
        stored = np.array(image.convert("RGB"))
        turned = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(_pixels(path, (9, 6)), stored)
    if orientation >= 5:
        np.testing.assert_array_equal(_pixels(path, (6, 9)), turned)
    else:
        with pytest.raises(DataError, match="9x6, the data set states 6x9"):
            images.read(path, (6, 9))
    probe = images.probe(path)
    assert probe.shown == ((6, 9) if orientation >= 5 else (9, 6))
    assert probe.fits(9, 6)
    assert probe.fits(6, 9) == (orientation >= 5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_always_turned(tmp_path: Path, orientation: int) -> None:
    path = _saved(tmp_path / "a.tif", Image.fromarray(RGB), orientation)
    with Image.open(path) as image:
        turned = np.array(image)
    size = (6, 9) if orientation >= 5 else (9, 6)
    np.testing.assert_array_equal(_pixels(path), turned)
    np.testing.assert_array_equal(_pixels(path, size), turned)
    assert images.probe(path).shown == size
    with pytest.raises(DataError, match="the data set states"):
        images.read(path, size[::-1])


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    for action in (images.read, images.probe):
        with pytest.raises(DataError, match=r"cut\.") as caught:
            action(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), (b"", "not an image"), (b"<html>", "not an image")]
)
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    for action in (images.read, lambda path: images.probe(path, decode=False)):
        with pytest.raises(DataError, match=words) as caught:
            action(path)
        assert str(path) in str(caught.value)
    with pytest.raises(DataError, match=r"x\.jpg"):
        images.probe(path)


@pytest.mark.parametrize(("kind", "words"), [(np.float32, "floats"), (np.int32, "integers of 32 bits")])
def test_pixels_that_cannot_be_read_are_refused_when_checked_too(
    tmp_path: Path, kind: type, words: str
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((4, 4), dtype=kind)).save(path)
    for action in (images.read, images.probe):
        with pytest.raises(DataError, match=words):
            action(path)


@pytest.mark.parametrize("size", [(1, 1), (10_000, 12), (3, 10_000)])
def test_extreme_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = _saved(tmp_path / "a.png", Image.new("RGB", size, (10, 20, 30)))
    tensor = images.read(path, size)
    assert tensor.shape == (3, size[1], size[0])
    assert tensor[:, -1, -1].tolist() == [10, 20, 30]


def test_the_probe_tells_copies_by_their_content(tmp_path: Path) -> None:
    first, copy, other = (tmp_path / f"{name}.png" for name in "abc")
    Image.fromarray(RGB).save(first)
    copy.write_bytes(first.read_bytes())
    Image.fromarray(255 - RGB).save(other)
    assert images.probe(first).digest == images.probe(copy).digest != images.probe(other).digest
    assert images.probe(first, decode=False).digest is None
