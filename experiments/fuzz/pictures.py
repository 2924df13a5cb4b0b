"""Kinds of pictures."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path

from hypothesis import strategies as st
from PIL import Image

from experiments.fuzz.hostile import damaged
from experiments.fuzz.judge import Case, Kind

__all__ = ["KINDS", "picture"]

_FORMATS = (
    "PNG",
    "JPEG",
    "GIF",
    "BMP",
    "TIFF",
    "WEBP",
    "PPM",
    "JPEG2000",
    "TGA",
    "PCX",
    "SGI",
    "ICO",
    "EPS",
    "AVIF",
)


@cache
def picture(name: str = "PNG", mode: str = "RGB", side: int = 24) -> bytes:
    """The bytes of a small picture in one of Pillow's formats; of PNG if it cannot hold the mode."""
    stream = io.BytesIO()
    image = Image.radial_gradient("L").resize((side, side)).convert(mode)
    try:
        image.save(stream, name)
    except (OSError, KeyError, ValueError):
        return picture("PNG", "RGB", side)
    return stream.getvalue()


@st.composite
def _bomb(draw: st.DrawFn) -> bytes:
    """A PNG, GIF or BMP whose header states another size than its pixels have."""
    size = st.sampled_from([0, 1, 24, 70_000, 2**24, 2**31 - 1, 2**32 - 1])
    width, height = draw(size), draw(size)
    kind = draw(st.sampled_from(["png", "gif", "bmp", "ppm"]))
    if kind == "png":
        head = struct.pack(
            ">IIBBBBB",
            width,
            height,
            draw(st.sampled_from([1, 8, 16])),
            draw(st.sampled_from([0, 2, 3, 4, 6])),
            0,
            0,
            draw(st.integers(0, 1)),
        )
        body = b"\x89PNG\r\n\x1a\n"
        for name, chunk in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(2**16))), (b"IEND", b"")):
            body += struct.pack(">I", len(chunk)) + name + chunk + struct.pack(">I", zlib.crc32(name + chunk))
        return body
    if kind == "gif":
        content = bytearray(picture("GIF"))
        content[6:10] = struct.pack("<HH", width % 2**16, height % 2**16)
        return bytes(content)
    if kind == "bmp":
        content = bytearray(picture("BMP"))
        content[18:26] = struct.pack("<II", width, height)
        return bytes(content)
    return f"P6 {width} {height} 255\n".encode() + bytes(64)


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    which = draw(st.integers(0, 9))
    if which < 6:
        name = draw(st.sampled_from(_FORMATS))
        mode = draw(st.sampled_from(["RGB", "L", "P", "RGBA", "CMYK", "1", "LA", "I;16", "F", "YCbCr"]))
        try:
            base = picture(name, mode)
        except ValueError:
            base = picture()
        content = draw(damaged(base))
    elif which < 8:
        content = draw(_bomb())
    else:
        content = draw(
            st.sampled_from(
                [
                    b"",
                    b"|",
                    b"->/dev/zero",
                    b"->.",
                    b"->a.png",
                    b"->/dev/stdin",
                    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
                ]
            )
        )
    return {"a.png": content}


def _read(folder: Path) -> None:
    from detector.data import images
    from nars.data.pictures import read_rgb
    from nars.errors import NarsError

    refusals = []
    for read in (read_rgb, lambda path: read_rgb(path, 16), images.read, images.probe):
        try:
            read(folder / "a.png")
        except NarsError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


KINDS = (Kind("picture", _cases(), _read),)
"""Pictures read by classifier and detector."""
