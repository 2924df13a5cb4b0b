"""Files of tensors: one reader for everyone's, which runs no code, and one format for our own.

A ``.safetensors`` file is read by the library of that name, any other by `torch.load` with
``weights_only``, in every format that PyTorch has written. Our own files are a `FileFormat`; they
have the same content as ``.pt`` and as ``.safetensors``.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from nars.errors import WeightsError
from nars.files import write_whole
from nars.foreign.limits import MOST_INFLATED, MOST_TENSORS, check_inflated
from nars.foreign.names import one_line, printable
from nars.foreign.paths import read_bytes
from nars.foreign.signatures import no_weights

__all__ = ["FileFormat", "damage_named", "fingerprint", "format_of", "read_tensors", "write_tensors"]

_SAFETENSORS = ".safetensors"
"""Files with this suffix are read and written as safetensors, all others by PyTorch."""

_COMMANDS = {"nars.weights": ("a classifier", "nars"), "nars.detector": ("a detector", "nars detect")}
"""The content of the files of each `FileFormat`, and the commands that use them."""

_OUR_FORMATS = "nars."
"""Start of the name of every `FileFormat`."""


_BROKEN_ARCHIVE = (ValueError, OSError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)
"""Exceptions that `zipfile` raises on damaged files; of encrypted ones, and of unknown methods, too."""


def read_tensors(path: str | Path) -> Any:
    """The content of a file of tensors, on the CPU: what was saved, or tensors by name.

    A file of a `FileFormat` is a dictionary with its ``format``; see `FileFormat.parse`. Raises
    `WeightsError` for a file that is missing, cut short or damaged, and, without running it, for
    one that holds code.
    """
    path = Path(path)
    try:
        data = read_bytes(path, MOST_TENSORS)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    if path.suffix.lower() == _SAFETENSORS:
        return _read_safetensors(data, path)
    content = _read_torch(data, path)
    _check_dense(content, max(MOST_INFLATED, 10 * len(data)), path)
    return content


def write_tensors(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write `content` with `torch.save`, whole or not at all. Raises `RunError`."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_whole(path, buffer.getvalue())


def fingerprint(state: Mapping[str, Tensor], *details: Any) -> str:
    """Hex digest of the names, types, shapes and values of tensors, and of plain `details`."""
    digest = hashlib.sha256(repr(details).encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def format_of(content: Any) -> str | None:
    """The name of the `FileFormat` that a file's content claims, if any."""
    name = content.get("format") if isinstance(content, dict) else None
    return name if isinstance(name, str) and name.startswith(_OUR_FORMATS) else None


@contextmanager
def damage_named(source: str) -> Iterator[None]:
    """Turn what the body raises over missing or malformed fields of a file into `WeightsError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise WeightsError(f"{source}: damaged: {_reason(error)}") from None


@dataclass(frozen=True)
class FileFormat:
    """A format of our own: the tensors of a network, with fields that say how to use them.

    As ``.pt`` it is a dictionary written by `torch.save`: ``format``, ``schema``, the fields and
    ``state``. As ``.safetensors`` the fields are text in the header; its ``order`` lists the tensors
    in the order of the network, which the library does not keep.
    """

    name: str
    """``nars.`` and a word."""
    schema: int
    """Version of the fields; a file of another one is refused."""
    title: str
    """Name of such a file in messages."""
    documents: tuple[str, ...]
    """Fields that are YAML text."""
    values: tuple[str, ...]
    """Fields that are lists or mappings of plain values; in a header they are JSON."""
    notes: tuple[str, ...] = ()
    """Fields of text that a file may lack; they read as None then."""

    def write(self, path: str | Path, fields: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        """Write a file in the format of its suffix, whole or not at all. Raises `RunError`."""
        assert fields.keys() == {*self.documents, *self.values, *self.notes}, fields.keys()
        notes = {name: fields[name] for name in self.notes if fields[name] is not None}
        fields = {name: fields[name] for name in (*self.documents, *self.values)} | notes
        tensors = {name: tensor.detach().cpu() for name, tensor in state.items()}
        head = {"format": self.name, "schema": self.schema}
        if Path(path).suffix.lower() != _SAFETENSORS:
            write_tensors(path, head | dict(fields) | {"state": tensors})
            return
        header = {"format": self.name, "schema": str(self.schema), "order": json.dumps(list(tensors))}
        header |= {name: fields[name] for name in self.documents} | notes
        header |= {name: json.dumps(fields[name]) for name in self.values}
        dense = {name: tensor.contiguous() for name, tensor in tensors.items()}
        write_whole(path, safetensors.torch.save(dense, header))

    def check_command(self, content: Any, source: str | Path, word: str) -> None:
        """Raise `WeightsError` with the right command if `word` was meant for a file of another format."""
        name = format_of(content)
        if name != self.name and name in _COMMANDS:
            holds, commands = _COMMANDS[name]
            raise WeightsError(f"{source} holds {holds}: use `{commands} {word}`")

    def parse(self, content: Any, source: str) -> dict[str, Any]:
        """The fields and the ``state`` in what `read_tensors` returned.

        Raises `WeightsError` for a file of another format or schema, and for a missing field.
        """
        name = format_of(content)
        if name != self.name and name in _COMMANDS:
            holds, commands = _COMMANDS[name]
            raise WeightsError(f"{source}: holds {holds}, which is for the commands of `{commands}`")
        if name != self.name:
            raise WeightsError(f"{source}: not a file of {self.title}{_libraries(content)}")
        schema = content.get("schema", self.schema)
        if str(schema) != str(self.schema):
            raise WeightsError(one_line(f"{source}: schema is {schema!r}, this version reads {self.schema}"))
        with damage_named(source):
            fields = {name: content[name] for name in (*self.values, *self.documents, "state", "schema")}
            fields |= {name: content.get(name) for name in self.notes}
            for name in self.values:
                if isinstance(fields[name], str):  # from a header
                    fields[name] = json.loads(fields[name])
            tensors = fields["state"].values()
        if not all(isinstance(tensor, Tensor) for tensor in tensors):
            raise WeightsError(f"{source}: its state is not made of tensors")
        return fields


def _libraries(content: Any) -> str:
    """The way to a network of another library, if a file's content looks like the state of one."""
    state = content
    for key in ("state_dict", "model"):  # as training scripts wrap it
        state = state.get(key, state) if isinstance(state, dict) else state
    is_state = isinstance(state, dict) and any(isinstance(value, Tensor) for value in state.values())
    named = "as torchvision:NAME or timm:NAME"
    return f"; --init takes networks of torchvision and timm {named}" if is_state else ""


def _check_dense(content: Any, most: int, path: Path) -> None:
    """Refuse tensors that are not dense, or larger than their file: a few bytes that are seen many times."""
    total, waiting, seen = 0, [content], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            plain = value.layout == torch.strided and value.device.type == "cpu"
            total += value.numel() * value.element_size() if plain else most + 1
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
    if total > most:
        raise WeightsError(f"{path}: refused: its tensors would be larger than the file, or are not dense")


def _check_archive(data: bytes) -> None:
    """Check the sizes and sums that an archive states; `torch.load` looks at no sum.

    Other files are no archives. Raises `ValueError`, and what `zipfile` raises.
    """
    if not data.startswith(b"PK"):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        check_inflated(entries, len(data))
        if not any(entry.CRC for entry in entries):
            return  # as written under `torch.serialization.set_crc32_options(False)`
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{printable(damaged)} inside it is damaged")


def _read_torch(data: bytes, path: Path) -> Any:
    try:
        _check_archive(data)
    except _BROKEN_ARCHIVE as error:
        reason = str(error) if isinstance(error, ValueError) else "cut short, or not written by torch.save"
        raise WeightsError(f"{path}: not a whole checkpoint: {reason}") from None
    try:
        with warnings.catch_warnings(action="ignore"):  # of an old format
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file can make the reader fail in any way
        raise WeightsError(f"{path}: {_failure(error, data, path.suffix)}") from None


def _failure(error: Exception, data: bytes, suffix: str) -> str:
    """Say why PyTorch cannot read these bytes."""
    unpickling = isinstance(error, pickle.UnpicklingError)
    named = re.search(r"GLOBAL ([\w.]+) (?:was|whose)", str(error)) if unpickling else None
    other = None if named else no_weights(data, suffix)
    if other is not None:
        return other
    if unpickling:
        what = f"it asks for {named[1]}" if named else "it is not made of tensors and plain values"
        rule = "anything but plain data is refused, since opening it could run code"
        remedy = "where it was trained, save the tensors alone: torch.save(model.state_dict(), FILE)"
        return f"refused: {rule}: {what}; {remedy}"
    told = isinstance(error, RuntimeError) and bool(str(error))  # other kinds name a byte, or nothing
    reason = _reason(error) if told else "cut short, or not written by torch.save"
    return f"not a whole checkpoint: {reason}"


def _reason(error: Exception) -> str:
    """The first line of a message, cut if it quotes what is too long to read."""
    return one_line(str(error).partition("\n")[0])


def _read_safetensors(data: bytes, path: Path) -> dict[str, Any]:
    try:
        tensors = safetensors.torch.load(data)
    except SafetensorError as error:
        other = no_weights(data, path.suffix) or f"not a whole safetensors file: {_reason(error)}"
        raise WeightsError(f"{path}: {other}") from None
    except KeyError as error:
        raise WeightsError(f"{path}: has tensors of type {error.args[0]}, which PyTorch lacks") from None
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # checked by the library
    except (ValueError, RecursionError):  # which allows what Python does not
        raise WeightsError(f"{path}: not a whole safetensors file: its header cannot be read") from None
    metadata = header.pop("__metadata__", None) or {}
    if format_of(metadata) is None:
        names = sorted(header, key=lambda name: header[name]["data_offsets"])
        return {name: tensors[name] for name in names}
    with damage_named(str(path)):
        names = json.loads(metadata["order"])
        if sorted(names) != sorted(tensors):
            raise ValueError("its order lists other tensors than it has")
        return {**metadata, "state": {name: tensors[name] for name in names}}
