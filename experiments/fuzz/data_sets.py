"""Kinds of data sets of classes: folders, tables and arrays."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from posixpath import normpath

import numpy as np
from hypothesis import strategies as st

from experiments.fuzz.hostile import NO_NAMES, OUTSIDE, damaged, mutated
from experiments.fuzz.judge import Case, Kind, command
from experiments.fuzz.pictures import picture

__all__ = ["KINDS"]


@st.composite
def _csv(draw: st.DrawFn) -> Case:
    rows = [["path", "label", "split"], *[[f"{n}.png", "ab"[n % 2], "train"] for n in range(8)]]
    if draw(st.integers(0, 9)) == 0:
        rows[draw(st.integers(1, 8))][0] = draw(st.sampled_from(NO_NAMES))
    rows = draw(mutated(rows)) if draw(st.booleans()) else rows
    text = "\n".join(
        ",".join(str(value)[:3000] for value in row) if isinstance(row, list) else str(row)[:3000]
        for row in (rows if isinstance(rows, list) else [rows])
    )
    case = {f"{n}.png": picture() for n in range(8)}
    return case | {"t.csv": draw(damaged(text.encode(errors="replace")))}


def _npy(descr: str, shape: object, content: bytes) -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


@st.composite
def _npz(draw: st.DrawFn) -> Case:
    length = st.sampled_from([0, 1, 4, 20, 10**6, 10**9, 2**40, -1])
    shape = draw(st.sampled_from(["(20, 8, 8)", "(20, 8, 8)", "(20, 8, 8)", None])) or str(
        tuple(draw(st.lists(length, min_size=1, max_size=5)))
    )
    descr = draw(
        st.sampled_from(
            ["|u1", "|u1", "|u1", "|u1", "|u1", "<i8", "<f4", "|O", "<U100000", "|V9", "bad", "|u1,|u1"]
        )
    )
    labels = (np.arange(20) % 2).astype(np.int64)
    label_type, values = draw(
        st.sampled_from(
            [
                ("<i8", labels),
                ("<i8", labels * 10**6),
                ("<i8", labels - 1),
                ("<u8", labels * 2**62),
                ("<f8", labels / 0.3),
            ]
        )
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(
        stream, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    ) as file:
        file.writestr("x_train.npy", _npy(descr, shape, bytes(20 * 64)))
        file.writestr(
            "y_train.npy", _npy(label_type, "(20,)", np.asarray(values, dtype=label_type).tobytes())
        )
        if draw(st.booleans()):
            file.writestr(
                draw(st.sampled_from(["classes.npy", "../../x.npy", "z.npy"])),
                _npy("<U1", "(2,)", "ab".encode("utf-32-le")),
            )
    return {"a.npz": draw(damaged(stream.getvalue()))}


_WORDS = ("train", "Val", "test", "valid", "[red]", "a\nb", " ", "é", "x" * 200, "\x1b[2J", "-rf", "..x", "c")
_LINKS = (b"|", b"->..", b"->.", b"->/dev/zero", b"->/nowhere", b"->../a", f"->{OUTSIDE}/secret.png".encode())


@st.composite
def _folder(draw: st.DrawFn) -> Case:
    names = draw(
        st.sampled_from([("a", "b"), ("a", "b"), ("a", "a"), ("train/a", "train/b"), ("[/]", "é\x07")])
    )
    case = {f"{name}/{n}.png": picture() for name in names for n in range(5)}
    for _ in range(draw(st.integers(0, 3))):
        parts = draw(st.lists(st.sampled_from(_WORDS), min_size=0, max_size=2))
        name = draw(st.sampled_from(["0.png", "1.jpg", "x.txt", ".hidden.png", "2.PNG", "a"]))
        path = normpath("/".join([draw(st.sampled_from([*names, "train", "."])), *parts, name]))
        if not any(f"{other}/".startswith(f"{path}/") or path.startswith(f"{other}/") for other in case):
            case[path] = draw(st.one_of(damaged(picture()), st.sampled_from(_LINKS)))
    return case


def _classes(folder: Path) -> None:
    source = next((folder / name for name in ("t.csv", "a.npz") if (folder / name).exists()), folder)
    command("data", "--data", source, "--drop-bad")


KINDS = (
    Kind("class folder", _folder(), _classes),
    Kind("csv", _csv(), _classes),
    Kind("npz", _npz(), _classes),
)
"""Data sets for classifiers."""
