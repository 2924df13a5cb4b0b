"""Files of tensors: what is written comes back, and what is damaged is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from nars.errors import WeightsError
from nars.tensors import FileFormat, format_of, read_tensors, write_tensors

TOYS = FileFormat("nars.toys", schema=3, title="toys", documents=("about",), values=("names", "sizes"))
FIELDS = {"about": 'kind: toy\n"ünïcode": 1\n', "names": ["b", 'a, \n"'], "sizes": {"b": 0.1, "a": 1e-300}}
STATE = {
    "stages.10.weight": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
    "stages.2.weight": torch.randn(3),
    "count": torch.tensor(7),
    "half": torch.randn(2, 2).bfloat16(),
    "none": torch.zeros(0, 3),
    "alpha": torch.tensor([True, False]),
}

SUFFIXES = pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".SAFETENSORS"])


def written(path: Path) -> Path:
    TOYS.write(path, FIELDS, STATE)
    return path


def with_header(path: Path, metadata: dict[str, str], state: dict[str, Tensor] | None = None) -> Path:
    tensors = {name: tensor.contiguous() for name, tensor in (STATE if state is None else state).items()}
    path.write_bytes(safetensors.torch.save(tensors, metadata))
    return path


def header(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, "pt") as file:
        return dict(file.metadata())


@SUFFIXES
def test_what_is_written_comes_back_in_order(suffix: str, tmp_path: Path) -> None:
    content = read_tensors(written(tmp_path / f"toys{suffix}"))
    assert format_of(content) == "nars.toys"
    fields = TOYS.parse(content, "toys")
    assert {name: fields[name] for name in FIELDS} == FIELDS
    assert list(fields["state"]) == list(STATE)
    for name, tensor in STATE.items():
        torch.testing.assert_close(fields["state"][name], tensor, rtol=0, atol=0)
        assert fields["state"][name].dtype == tensor.dtype


def test_a_header_says_in_text_what_a_file_is(tmp_path: Path) -> None:
    path = written(tmp_path / "toys.safetensors")
    found = header(path)
    assert found["format"] == "nars.toys"
    assert found["schema"] == "3"
    assert found["about"] == FIELDS["about"]
    assert json.loads(found["sizes"]) == FIELDS["sizes"]
    assert json.loads(found["order"]) == list(STATE)
    assert safetensors.torch.load_file(path).keys() == STATE.keys()


@SUFFIXES
@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_files_cut_short_are_refused(suffix: str, share: float, tmp_path: Path) -> None:
    path = written(tmp_path / f"toys{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=rf"toys{suffix}: (not a whole|refused|no file)[^\n]*$"):
        read_tensors(path)


@SUFFIXES
def test_files_with_a_changed_byte_are_read_or_refused(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"toys{suffix}")
    whole = path.read_bytes()
    refused = []
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            TOYS.parse(read_tensors(path), "toys")
        except WeightsError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert not any("\n" in message for message in refused)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": None}, "damaged: 'order'"),
        ({"order": "[]"}, "damaged: its order lists other tensors"),
        ({"order": '["alpha", 1]'}, "damaged: "),
        ({"order": "alpha"}, "damaged: "),
        ({"names": None}, "damaged: 'names'"),
        ({"names": "[1, 2"}, "damaged: "),
        ({"names": "[" * 100_000}, "damaged: "),
        ({"about": None}, "damaged: 'about'"),
        ({"schema": None}, "damaged: 'schema'"),
        ({"schema": "4"}, "schema is '4', this version reads 3"),
        ({"format": "pt"}, "not a file of toys"),
        ({"format": "nars.others"}, "not a file of toys"),
    ],
)
def test_altered_headers_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "toys.safetensors"
    changed = header(written(path)) | changes
    with_header(path, {name: text for name, text in changed.items() if text is not None})
    with pytest.raises(WeightsError, match=message):
        TOYS.parse(read_tensors(path), str(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 4}, "schema is 4, this version reads 3"),
        ({"state": [1]}, "damaged: "),
        ({"state": {"a": 1}}, "its state is not made of tensors"),
        ({"format": 3}, "not a file of toys"),
    ],
)
def test_altered_dictionaries_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "toys.pt")
    write_tensors(path, torch.load(path, weights_only=True) | changes)
    with pytest.raises(WeightsError, match=message):
        TOYS.parse(read_tensors(path), str(path))


def test_tensors_of_others_come_in_the_order_of_their_file(tmp_path: Path) -> None:
    path = with_header(tmp_path / "others.safetensors", {"format": "pt", "schema": "x"})
    content = read_tensors(path)
    assert format_of(content) is None
    places = {name: content[name].element_size() for name in content}
    assert content.keys() == STATE.keys()
    assert list(places.values()) == sorted(places.values(), reverse=True)  # as the library writes them
    with pytest.raises(WeightsError, match="not a file of toys"):
        TOYS.parse(content, "others")


def test_types_that_torch_lacks_are_named(tmp_path: Path) -> None:
    text = json.dumps({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}).encode()
    path = tmp_path / "four.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"x")
    with pytest.raises(WeightsError, match=r"four\.safetensors: has tensors of type F4, which PyTorch lacks"):
        read_tensors(path)


@SUFFIXES
def test_missing_files_and_folders_are_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"toys{suffix}"
    with pytest.raises(WeightsError, match=r"cannot read .*toys\.\w+: No such file"):
        read_tensors(path)
    path.mkdir()
    with pytest.raises(WeightsError, match=r"cannot read .*toys\.\w+: Is a directory"):
        read_tensors(path)


def test_an_archive_that_inflates_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    monkeypatch.setattr("nars.foreign.limits.MOST_INFLATED", 10**6)
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**7))
    with pytest.raises(WeightsError, match="would become 10000000, more than is unpacked"):
        read_tensors(tmp_path / "a.pt")


def test_a_tensor_that_is_a_few_bytes_seen_many_times_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(2**40)}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="would be larger than the file"):
        read_tensors(tmp_path / "a.pt")
    torch.save({"a": torch.zeros(1).expand(2**10)}, tmp_path / "a.pt")
    assert read_tensors(tmp_path / "a.pt")["a"].shape == (2**10,)


def test_a_sparse_tensor_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3).to_sparse()}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="are not dense"):
        read_tensors(tmp_path / "a.pt")


@pytest.mark.parametrize("part", ["data", "name"])
def test_an_archive_whose_sums_are_wrong_is_refused(part: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"a": torch.full((4,), 7.0)}, path)
    whole = path.read_bytes()
    wanted = torch.full((4,), 7.0).numpy().tobytes() if part == "data" else b"data/0"
    at = whole.index(wanted)
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert torch.load(path, weights_only=True)["a"].shape == (4,)  # PyTorch takes it without a word
    with pytest.raises(
        WeightsError, match=r"not a whole checkpoint: (a/data/0 inside it is damaged|cut short)"
    ):
        read_tensors(path)


def test_an_archive_that_has_no_sums_is_read(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.full((4,), 7.0)}, tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert read_tensors(tmp_path / "a.pt")["a"].tolist() == [7.0] * 4
