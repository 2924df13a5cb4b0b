from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from nars.errors import WeightsError
from nars.foreign.signatures import is_heic
from nars.tensors import read_tensors

_HEIC = b"\0\0\0\x18ftypheic" + bytes(12)
_EXPORTED = "give the .pt or .safetensors that it was exported from"


def _drawn(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no file of weights: it is empty"),
        (b"kind: candidate\nschema: 1\n", "no file of weights: it is text"),
        (b"class names\nsecond line\n", "no file of weights: it is text"),
        ("Größe".encode() * 4096, "no file of weights: it is text"),
        (_drawn("JPEG"), "no file of weights (it starts like a JPEG picture)"),
        (_drawn("PNG"), "no file of weights (it starts like a PNG picture)"),
        (_drawn("WEBP"), "no file of weights (it starts like a WebP picture)"),
        (_drawn("TIFF"), "no file of weights (it starts like a TIFF picture)"),
        (_HEIC, "no file of weights (it starts like a HEIC picture)"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_what_holds_no_weights_is_called_what_it_is(
    content: bytes, message: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"given{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as raised:
        read_tensors(path)
    assert str(raised.value) == f"{path}: {message}"


def test_an_exported_network_leads_to_its_weights(tmp_path: Path) -> None:
    network, image = nn.Linear(2, 2), (torch.zeros(1, 2),)
    torch.export.save(torch.export.export(network, image), tmp_path / "a.pt2")
    torch.export.save(torch.export.export(network, image), tmp_path / "b.pt")
    with warnings.catch_warnings(action="ignore"):  # PyTorch calls it deprecated
        torch.jit.trace(network, image).save(tmp_path / "c.pt")
    (tmp_path / "d.onnx").write_bytes(b"\x08\x08\x12\x07pytorch")
    kinds = ["a file of torch.export", "a file of torch.export", "a TorchScript file", "an ONNX file"]
    for path, kind in zip(sorted(tmp_path.iterdir()), kinds, strict=True):
        with pytest.raises(WeightsError) as raised:
            read_tensors(path)
        assert str(raised.value) == f"{path}: {kind}; {_EXPORTED}"


@pytest.mark.parametrize(
    "pickled", [b"cposix\nsystem\n(S'echo'\ntR.", b"\x80\x02cposix\nsystem\n(X\x04\0\0\0echotR."]
)
@pytest.mark.parametrize("name", ["a.pt", "a.onnx"])
def test_what_could_run_code_is_refused_as_such_whatever_it_looks_like(
    pickled: bytes, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(pickled)
    with pytest.raises(WeightsError, match=r"refused: .* could run code: it asks for posix\.system; where"):
        read_tensors(tmp_path / name)


def test_heic_is_told_from_other_files_of_its_container() -> None:
    assert is_heic(_HEIC)
    assert not is_heic(_HEIC.replace(b"heic", b"avif"))
    assert not is_heic(_HEIC.replace(b"heic", b"isom"))
    assert not is_heic(b"")
