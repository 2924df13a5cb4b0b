"""Archives and pickles that state other sizes than they have, ask for code, or inflate."""

from __future__ import annotations

import io
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from hypothesis import strategies as st

from experiments.fuzz.hostile import damaged

__all__ = ["archives", "pickles", "tensors"]


class _Call:
    """Pickles into a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _bomb(levels: int) -> bytes:
    """A pickle of lists that hold the same list ten times."""
    tree: list[Any] = []
    for _ in range(levels):
        tree = [tree] * 10
    return pickle.dumps(tree, 2)


pickles = st.sampled_from(
    [
        pickle.dumps(_Call(os.system, "touch /tmp/owned"), 2),
        pickle.dumps(_Call(eval, "1"), 2),
        pickle.dumps(_Call(bytearray, 2**40), 2),
        pickle.dumps(_Call(torch.zeros, 2**40), 2),
        pickle.dumps(_Call(torch.Tensor, 2**40), 2),
        _bomb(30),
        b"\x80\x02" + b"(" * 10_000 + b".",
        b"\x80\x02" + b"]" + b"]a" * 50_000 + b".",
        b"\x80\x02X\xff\xff\xff\x7f.",
        b"\x80\x02\x8b\xff\xff\xff\x7f.",
        b"\x80\x02r\xff\xff\xff\xff.",
        b"\x80\x02}q\x00h\x00h\x00s.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        pickle.dumps({"state": {"a": _Call(os.getcwd)}}, 2),
        b"",
    ]
)
"""The content of a ``data.pkl`` that no network needs."""


@cache
def _tensors() -> list[Any]:
    with warnings.catch_warnings(action="ignore"):  # some of these layouts are new, others old
        return _unusual()


def _unusual() -> list[Any]:
    one = torch.ones(1)
    return [
        one,
        torch.empty(0),
        torch.tensor(1.0),
        one.expand(2**20, 2**20),
        one.expand(4, 8, 3, 3),
        torch.full((8, 3, 3, 3), float("nan")),
        torch.ones(8, 3, 3, 3, dtype=torch.complex64),
        torch.ones(8, 3, 3, 3, dtype=torch.int64),
        torch.ones(8, dtype=torch.bool),
        torch.ones(8, dtype=torch.float64) * 1e300,
        torch.ones(8, dtype=torch.float8_e4m3fn),
        torch.ones(2, 2).to_sparse(),
        torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), one, (2**30, 2**30)),
        torch.ones(2, 2).to_sparse_csr(),
        torch.empty(2**30, 2**10, device="meta"),
        torch.quantize_per_tensor(torch.ones(8), 0.1, 0, torch.qint8),
        torch.nn.Parameter(torch.ones(8)),
        torch.ones(8, requires_grad=True),
        torch.ones((1,) * 40),
    ]


tensors = st.deferred(lambda: st.sampled_from(_tensors()))
"""Tensors that are not those of a network."""


@st.composite
def archives(draw: st.DrawFn, content: bytes) -> bytes:
    """A zip archive made anew of the parts of `content`, with some of them changed, and with lies."""
    stream = io.BytesIO()
    change = draw(st.sampled_from(["pickle", "damage", "drop", "rename", "inflate", "double", "lie", "lie"]))
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(stream, "w") as new,
        warnings.catch_warnings(action="ignore"),  # of two parts of one name
    ):
        names = old.namelist()
        chosen = draw(st.sampled_from(names))
        for name in names:
            data, target = old.read(name), name
            if change == "pickle" and name.endswith("data.pkl"):
                data = draw(pickles)
            elif name == chosen:
                data, target = draw(_changed(change, name, data))
            if change != "drop" or name != chosen:
                new.writestr(target, data, _method(change, name == chosen))
            if change == "double" and name == chosen:
                new.writestr(name, data[::-1])
    made = stream.getvalue()
    return draw(_lying(made)) if change == "lie" else made


def _method(change: str, is_chosen: bool) -> int:
    return zipfile.ZIP_DEFLATED if change == "inflate" and is_chosen else zipfile.ZIP_STORED


@st.composite
def _changed(draw: st.DrawFn, change: str, name: str, data: bytes) -> tuple[bytes, str]:
    if change == "damage":
        return draw(damaged(data)), name
    if change == "inflate":
        return bytes(draw(st.sampled_from([2**10, 2**20, 2**25]))), name
    if change == "rename":
        wrong = ("../../outside/x", "x", f"{name}/", "archive/data.pkl", "/etc/x", "a" * 60_000)
        return data, draw(st.sampled_from(wrong))
    return data, name


@st.composite
def _lying(draw: st.DrawFn, content: bytes) -> bytes:
    """The archive with other sizes, or another offset, in the entry of a file, here or in its index."""
    mark, fields = draw(
        st.sampled_from([(b"PK\x03\x04", (18, 22, 8, 6, 26)), (b"PK\x01\x02", (20, 24, 42, 10, 28, 30))])
    )
    places = [at for at in range(len(content) - 4) if content.startswith(mark, at)]
    end = [content.rfind(b"PK\x05\x06")]
    at = draw(st.sampled_from(places or end)) + draw(st.sampled_from(fields))
    if draw(st.integers(0, 5)) == 0:
        at = end[0] + draw(st.sampled_from([8, 10, 12, 16]))
    value = draw(st.sampled_from([0, 1, 100, 2**16, 2**30, 2**31, 2**32 - 1]))
    return content[:at] + struct.pack("<I", value) + content[at + 4 :]
