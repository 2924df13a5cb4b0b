"""JPEGs that are decoded again without Pillow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nars.data.pictures import read_rgb
from nars.errors import DataError
from nars.foreign import jpegs


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    jpegs._known.clear()
    yield
    jpegs._known.clear()


def photo(path: Path, mode: str = "RGB", **options: object) -> Path:
    y, x = np.mgrid[:90, :120]
    pixels = np.stack([x * 2, y * 2, (x * y) % 256], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def test_the_pixels_are_those_of_pillow(tmp_path: Path) -> None:
    path = photo(tmp_path / "photo.jpg")
    first = read_rgb(path, 60)
    assert jpegs.again(path, 60) is not None
    assert np.array_equal(read_rgb(path, 60), first)
    assert np.array_equal(read_rgb(path), Image.open(path))


@pytest.mark.parametrize(
    ("name", "mode", "orientation"),
    [
        ("grey.jpg", "L", 1),
        ("cmyk.jpg", "CMYK", 1),
        ("photo.png", "RGB", 1),
        ("turned.jpg", "RGB", 6),
    ],
)
def test_pillow_reads_what_is_no_plain_jpeg(tmp_path: Path, name: str, mode: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photo(tmp_path / name, mode, exif=exif)
    first = read_rgb(path)
    assert jpegs.again(path, None) is None
    assert np.array_equal(read_rgb(path), first)


def test_pillow_reads_what_it_can_decode_smaller(tmp_path: Path) -> None:
    path = photo(tmp_path / "photo.jpg")
    read_rgb(path)
    assert jpegs.again(path, 45) is None
    assert jpegs.again(path, 46) is not None


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


def _replaced_in_the_same_moment(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"\xff\xd8" + bytes(before.st_size - 2))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [_cut, _replaced_in_the_same_moment, Path.unlink])
def test_pillow_judges_a_file_that_has_changed(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = photo(tmp_path / "photo.jpg")
    read_rgb(path)
    change(path)
    with pytest.raises(DataError, match="cannot read image"):
        read_rgb(path)


def test_of_many_files_the_last_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpegs, "_MOST", 2)
    paths = [photo(tmp_path / f"{number}.jpg") for number in range(3)]
    for path in paths:
        read_rgb(path)
    assert [jpegs.again(path, None) is not None for path in paths] == [False, True, True]
