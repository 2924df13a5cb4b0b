"""Kinds of checkpoints: ours, those of others, safetensors, and those that a training continues from."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from hypothesis import strategies as st

from experiments.fuzz import valid
from experiments.fuzz.archives import archives, pickles, tensors
from experiments.fuzz.hostile import as_json, as_yaml, damaged, enlarged, hostile, mutated, renumbered
from experiments.fuzz.judge import Case, Kind, command
from experiments.fuzz.pictures import picture

__all__ = ["KINDS"]

_BASES: dict[str, Callable[[], Any]] = {
    "classifier": valid.classifier,
    "detector": valid.detector,
    "detectron2": lambda: {"model": valid.detector()["state"], "iteration": 3},
    "averaged": lambda: {"model": {}, "ema_state": {"state": valid.detector()["state"]}},
    "plain": lambda: valid.classifier()["state"],
    "timm": lambda: {
        "state_dict": {"conv_stem.weight": torch.ones(8, 3, 3, 3), "x.weight": torch.ones(2, 8)}
    },
}
"""Contents of checkpoints."""

_USES = {"classifier": ("predict", "predict", "init", "weights"), "detector": ("detect", "detect", "weights")}
"""The uses of a checkpoint that it was made for; others are initial weights."""

_DOCUMENTS = ("candidate", "settings", "parts")
"""Fields that describe a network."""


@st.composite
def _content(draw: st.DrawFn, make: Callable[[], Any]) -> Any:
    """A content with changes in its fields, its tensors or the documents inside."""
    content = make()
    change = draw(st.sampled_from(["none", "fields", "tensor", "document", "document", "document"]))
    if change == "fields" and draw(st.booleans()):
        return draw(mutated(content))
    if change == "fields":
        fields = draw(mutated({key: value for key, value in content.items() if key != "state"}))
        return content | fields if isinstance(fields, dict) else fields
    if change == "tensor":
        state = content.get("state", content)
        names = [name for name, value in state.items() if isinstance(value, torch.Tensor)]
        if names:
            name = draw(st.sampled_from(names))
            state[name] = draw(st.one_of(tensors, _stored_otherwise(state[name])))
    if change == "document" and any(name in content for name in _DOCUMENTS):
        name = draw(st.sampled_from([name for name in _DOCUMENTS if name in content]))
        content[name] = draw(_document(content[name]))
    return content


def _stored_otherwise(tensor: torch.Tensor) -> Any:
    """The tensor in its own shape, but kept in another way than a network's are, or with other values."""
    changes: list[Callable[[torch.Tensor], torch.Tensor]] = [
        torch.Tensor.to_sparse,
        torch.Tensor.double,
        lambda own: own.to("meta"),
        lambda own: torch.zeros((), dtype=own.dtype).expand(own.shape),
        lambda own: own.to(torch.complex64),
        lambda own: torch.full_like(own, float("nan")) if own.is_floating_point() else own,
    ]
    return st.sampled_from(changes).map(lambda change: change(tensor))


@st.composite
def _document(draw: st.DrawFn, document: Any) -> Any:
    change = draw(st.sampled_from([mutated, renumbered, renumbered, enlarged]))
    if not isinstance(document, str):
        return draw(change(document))
    return as_yaml(draw(change(yaml.safe_load(document)))).decode(errors="replace")


def _case(draw: st.DrawFn, base: str, name: str, content: bytes) -> Case:
    small = valid.architecture().to_yaml().encode()
    uses = (
        ("predict", "detect", "init", "weights")
        if draw(st.integers(0, 9)) == 0
        else _USES.get(base, ("weights",))
    )
    return {
        name: content,
        "use": draw(st.sampled_from(uses)).encode(),
        "small.yaml": small,
        "x.png": picture(),
    }


@st.composite
def _checkpoint(draw: st.DrawFn) -> Case:
    base = draw(st.sampled_from(["classifier", "detector", *_BASES]))
    content = draw(_content(_BASES[base]))
    try:
        data = valid.saved(content, archive=draw(st.integers(0, 9)) > 0)
    except (RuntimeError, TypeError, ValueError, OverflowError, NotImplementedError):
        data = valid.saved({"model": {}})
    if data.startswith(b"PK") and draw(st.integers(0, 2)) == 0:
        data = draw(archives(data))
    if draw(st.integers(0, 30)) == 0:
        data = draw(
            st.one_of(
                pickles, st.just(b"\x08\x0a\x12\x07pytorch"), st.just(valid.architecture().to_yaml().encode())
            )
        )
    return _case(draw, base, "a.pt", draw(damaged(data)))


@cache
def _header(name: str) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a safetensors file of one of the bases."""
    content = _BASES[name]()
    state = {key: value.contiguous() for key, value in content.get("state", content).items()}
    texts = {
        key: value for key, value in content.items() if key in ("candidate", "settings", "data", "format")
    }
    values = {
        key: json.dumps(content[key])
        for key in ("mean", "std", "classes", "metrics", "parts")
        if key in content
    }
    made = safetensors.torch.save(state, texts | values | {"schema": "1", "order": json.dumps(list(state))})
    length = int.from_bytes(made[:8], "little")
    return json.loads(made[8 : 8 + length]), made[8 + length :]


@st.composite
def _safetensors(draw: st.DrawFn) -> Case:
    base = draw(st.sampled_from(["classifier", "detector", "plain"]))
    header, data = _header(base)
    change = draw(st.sampled_from(["none", "tree", "tensor", "tensor", "document", "length", "data"]))
    tree: Any = dict(header)
    metadata = dict(tree["__metadata__"])
    if change == "tree":
        tree = draw(mutated(tree))
    elif change == "tensor":
        name = draw(st.sampled_from([key for key in tree if key != "__metadata__"]))
        tree[name] = draw(_entry(tree[name], len(data)))
    elif change == "document":
        key = draw(st.sampled_from([key for key in metadata if key not in ("data", "format")]))
        texts = st.one_of(_text(metadata[key]), hostile.map(lambda value: str(value)[:5000]))
        tree["__metadata__"] = metadata | {key: draw(texts)}
    elif change == "data":
        data = draw(st.sampled_from([b"", data[:-1], data + b"\0", b"\xff" * len(data), data * 2]))
    text = as_json(tree)
    lies = st.sampled_from([0, 1, 2, len(text) - 1, 2**31, 2**63, 2**64 - 1])
    length = draw(lies) if change == "length" else len(text)
    return _case(draw, base, "a.safetensors", draw(damaged(length.to_bytes(8, "little") + text + data)))


@st.composite
def _text(draw: st.DrawFn, text: str) -> str:
    """The YAML or JSON text with changes."""
    change = draw(st.sampled_from([mutated, renumbered, enlarged]))
    return as_json(draw(change(yaml.safe_load(text)))).decode(errors="replace")


@st.composite
def _entry(draw: st.DrawFn, entry: dict[str, Any], size: int) -> dict[str, Any]:
    """The entry of a tensor with another type, shape or place."""
    number = st.sampled_from([0, 1, 3, 4, size, size + 1, 2**31, 2**62, 2**64, -1])
    changes = {
        "dtype": st.sampled_from(["F32", "F64", "I64", "BF16", "F8_E4M3", "BOOL", "U64", "C64", "F4", "x"]),
        "shape": st.lists(number, max_size=5),
        "data_offsets": st.lists(number, min_size=1, max_size=3),
    }
    chosen = draw(st.lists(st.sampled_from(list(changes)), min_size=1, max_size=2, unique=True))
    return entry | {name: draw(changes[name]) for name in chosen}


@st.composite
def _training(draw: st.DrawFn) -> Case:
    content = valid.training()
    if draw(st.booleans()):
        content = draw(mutated(content))
    elif draw(st.booleans()):
        content["curve"] = draw(mutated(content["curve"]))
    elif draw(st.booleans()):
        content[draw(st.sampled_from(["generator", "cpu"]))] = draw(tensors)
    try:
        data = valid.saved(content)
    except (RuntimeError, TypeError, ValueError, OverflowError):
        data = valid.saved({})
    data = draw(archives(data)) if draw(st.integers(0, 3)) == 0 else data
    return {"last.pt": draw(damaged(data))}


def _use(folder: Path) -> None:
    """Use a checkpoint as a user would."""
    file = next(folder / name for name in ("a.pt", "a.safetensors") if (folder / name).exists())
    use = (folder / "use").read_bytes()
    if use == b"predict":
        command("predict", file, folder / "x.png", "-o", "out.json")
    elif use == b"detect":
        command("detect", "predict", file, folder / "x.png", "-o", "out")
    elif use == b"init":
        command("profile", folder / "small.yaml", "--init", file, "--classes", "2")
    else:
        _load_as_weights(file)
    assert file.suffix != ".pt" or _is_whole(file), "a damaged archive was taken"


def _load_as_weights(file: Path) -> None:
    """Load a checkpoint as ``nars detect train --weights`` does."""
    from detector.weights.checkpoints import read_checkpoint
    from detector.weights.loading import load_checkpoint
    from detector.weights.saved import SavedDetector

    model = SavedDetector.of(valid.detector(), "valid").detector()
    str(load_checkpoint(model, read_checkpoint(file)))


def _is_whole(file: Path) -> bool:
    """Whether the parts of an archive have the sums that it states."""
    if not zipfile.is_zipfile(file):
        return True
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False


def _continue(folder: Path) -> None:
    from nars.training.checkpoint import restore
    from nars.training.progress import Progress

    model = torch.nn.Linear(2, 2)
    parts: dict[str, Any] = {"model": model, "optimizer": torch.optim.SGD(model.parameters())}
    generator, before = torch.Generator(), torch.get_rng_state()
    try:
        last = folder / "last.pt"
        curve = restore(last, {"seed": 0}, parts, generator, torch.device("cpu"), Progress.read)
        for entry in curve:  # as a log and a report use it
            for value in (entry.score, entry.loss, *entry.numbers.values()):
                math.isfinite(0 if value is None else value)
    finally:
        torch.set_rng_state(before)


KINDS = (
    Kind("checkpoint", _checkpoint(), _use),
    Kind("safetensors", _safetensors(), _use),
    Kind("training", _training(), _continue),
)
"""Files of tensors."""
