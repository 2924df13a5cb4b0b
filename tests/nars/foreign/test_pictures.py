from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from detector.data import images
from nars.data.pictures import read_rgb
from nars.errors import DataError
from nars.foreign.limits import MOST_PIXELS
from nars.foreign.pictures import FORMATS, SUFFIXES, open_picture


def _png_of(width: int, height: int) -> bytes:
    """A PNG whose header states a size that its pixels do not have."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


_POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(x) run\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("name", ["a.eps", "a.jpg", "a.png"])
def test_postscript_is_no_picture_whatever_its_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    def forbidden(*arguments: object, **named: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    (tmp_path / name).write_bytes(_POSTSCRIPT)
    for read in (read_rgb, images.read, images.probe):
        with pytest.raises(DataError, match="not an image"):
            read(tmp_path / name)


def test_every_format_of_the_list_is_one_of_pillows_and_none_starts_a_program() -> None:
    Image.init()
    assert set(FORMATS) <= {*Image.OPEN, "AVIF"}
    assert not {"EPS", "IPTC", "WMF", "MPEG", "HDF5", "DCX", "ICNS", "FPX", "MIC"} & set(FORMATS)
    registered = Image.registered_extensions()
    assert {registered[suffix] for suffix in SUFFIXES if suffix in registered} <= set(FORMATS)


@pytest.mark.parametrize("size", [(MOST_PIXELS // 1000 + 1, 1000), (2**31 - 1, 2**31 - 1), (MOST_PIXELS, 3)])
@pytest.mark.parametrize("read", [read_rgb, images.read, images.probe])
def test_a_bomb_is_refused_in_our_words_before_it_is_decoded(
    tmp_path: Path, size: tuple[int, int], read: Callable[[Path], object]
) -> None:
    (tmp_path / "bomb.png").write_bytes(_png_of(*size))
    with pytest.raises(
        DataError, match=r"bomb.png.*268 million pixels are the most: make it smaller"
    ) as raised:
        read(tmp_path / "bomb.png")
    assert "\n" not in str(raised.value)


def test_a_moving_picture_of_many_frames_is_read_at_its_first(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), (number, 0, 0)) for number in range(200)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert read_rgb(tmp_path / "a.webp").getpixel((0, 0)) == (0, 0, 0)


def test_large_pictures_are_converted_in_strips_to_the_same_pixels(tmp_path: Path) -> None:
    layer = np.random.default_rng(0).integers(0, 256, (1100, 1000, 4), dtype=np.uint8)
    image = Image.fromarray(layer)
    image.save(tmp_path / "a.png", compress_level=1)
    white = Image.new("RGBA", image.size, "white")
    expected = Image.alpha_composite(white, image).convert("RGB")
    assert (np.asarray(read_rgb(tmp_path / "a.png")) == np.asarray(expected)).all()


def test_an_enormous_picture_comes_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nars.data.pictures.ENORMOUS", 100_000)
    Image.new("RGB", (800, 400), "red").save(tmp_path / "a.png")
    image = read_rgb(tmp_path / "a.png", 100)
    assert image.size == (200, 100)
    assert image.getpixel((5, 5)) == (255, 0, 0)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "words"), [(_pipe, "is a pipe"), (_folder, "Is a directory"), (_device, "is a device")]
)
@pytest.mark.parametrize("read", [read_rgb, images.read, images.probe])
def test_what_is_no_regular_file_is_refused_unread(
    tmp_path: Path, make: Callable[[Path], None], words: str, read: Callable[[Path], object]
) -> None:
    make(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=rf"a.jpg.*{words}, no regular file"):
        read(tmp_path / "a.jpg")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize("read", [read_rgb, images.read, images.probe])
def test_a_damaged_avif_is_one_line(tmp_path: Path, read: Callable[[Path], object]) -> None:
    Image.new("RGB", (24, 24)).save(tmp_path / "a.avif")
    content = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "a.avif").write_bytes(content.replace(b"pitm\0\0\0\0\0\x01", b"pitm\0\0\0\0\xd0\0"))
    with pytest.raises(DataError, match=r"a\.avif.*image item"):
        read(tmp_path / "a.avif")


def test_a_null_in_a_name_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="null character"):
        read_rgb(f"{tmp_path}/a\0.jpg")


def test_no_module_opens_pictures_by_itself() -> None:
    root = Path(sys.modules["nars"].__file__ or "").parent.parent
    files = [*root.glob("nars/**/*.py"), *root.glob("detector/**/*.py")]
    texts = {file.relative_to(root).as_posix(): file.read_text() for file in files}
    opening = {name for name, text in texts.items() if "Image.open(" in text and "import Image" in text}
    assert opening == {"nars/foreign/pictures.py"}


def test_bytes_are_opened_too() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (3, 2)).save(stream, "PNG")
    assert open_picture(stream.getvalue()).size == (3, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [("IMG_1.HEIC", b"as a phone"), ("a.heic", b""), ("a.jpg", b"\0\0\0\x18ftypheic" + bytes(12))],
)
def test_heic_is_answered_with_the_way_out(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r": .heic pictures are not read: convert them to JPEG$"):
        read_rgb(tmp_path / name)
