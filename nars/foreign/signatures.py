"""Recognizes files that are not what they are given for, to say what they are instead."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["heic_advice", "is_heic", "no_weights"]

_EXPORTED = {
    ".onnx": "an ONNX file",
    ".pt2": "a file of torch.export",
    ".tflite": "a TensorFlow Lite file",
    ".torchscript": "a TorchScript file",
    ".ts": "a TorchScript file",
}
"""Suffixes of networks that were made to run without their training."""

_BEGINNINGS = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them"),
    (b"\x93NUMPY", "an array of NumPy"),
    (b"\x1f\x8b", "a file packed by gzip"),
)
"""First bytes of formats that begin with a constant."""

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands of HEIC pictures and their sequences (ISO/IEC 23008-12, Annex B)."""

_HEIC_SUFFIXES = (".heic", ".heif")

_LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8, at most: one may be cut where a beginning ends."""

_LOOKED_AT = 4096
"""Bytes that decide whether a file is text."""


def no_weights(data: bytes, suffix: str) -> str | None:
    """The kind of a file that cannot be read as tensors, in words; None if it may be damaged weights."""
    if not data:
        return "no file of weights: it is empty"
    exported = _EXPORTED.get(suffix.lower()) or _exported_archive(data)
    if exported:
        return f"{exported}; give the .pt or .safetensors that it was exported from"
    beginning = _beginning(data)
    if beginning:
        return f"no file of weights (it starts like {beginning})"
    return "no file of weights: it is text" if _is_text(data) else None


def is_heic(beginning: bytes) -> bool:
    """Whether a file that begins so is a HEIC or HEIF picture, as phones take them."""
    return beginning[4:8] == b"ftyp" and beginning[8:12] in _HEIC_BRANDS


def heic_advice(suffixes: Iterable[str]) -> str | None:
    """The way out for files that are not read, if HEIC pictures are among these suffixes."""
    heic = next((suffix for suffix in suffixes if suffix in _HEIC_SUFFIXES), None)
    return f"{heic} pictures are not read: convert them to JPEG" if heic else None


def _exported_archive(data: bytes) -> str | None:
    """The kind of an exported network that is an archive with any suffix."""
    if not data.startswith(b"PK"):
        return None
    if b"/constants.pkl" in data:
        return "a TorchScript file"
    return "a file of torch.export" if b"/archive_format" in data else None


def _beginning(data: bytes) -> str | None:
    for start, kind in _BEGINNINGS:
        if data.startswith(start):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "a WebP picture"
    if data[4:8] == b"ftyp":
        return "a HEIC picture" if is_heic(data) else "a video or an AVIF picture"
    return "a ZIP archive" if data.startswith(b"PK") and b"/data.pkl" not in data else None


def _is_text(data: bytes) -> bool:
    for cut in range(_LONGEST_CHARACTER):
        try:
            text = data[: _LOOKED_AT - cut].decode()
        except UnicodeDecodeError:
            continue
        return all(letter.isprintable() or letter in "\t\n\r\f" for letter in text)
    return False
