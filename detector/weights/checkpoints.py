"""Checkpoints of others and our own, read without running code from them, by what is in them.

Readable are D2Go and detectron2 checkpoints, averaged ones included, classifiers of mobile-vision
and timm, and files of `nars`. Each becomes sections of layers with plain names ("trunk", "box
head", ...); `detector.weights.loading` moves those into a network.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from detector.model.settings import Pixels
from detector.weights import zoo
from nars.errors import WeightsError

__all__ = ["Checkpoint", "Layer", "read_checkpoint", "read_pickle", "sections_of"]

Layout = Literal["D2Go detector", "nars detector", "nars classifier", "timm classifier", "classifier"]


@dataclass(frozen=True, eq=False)
class Layer:
    """The tensors of one module, by their last name: ``weight``, ``bias``, ``running_mean``, ..."""

    name: str
    tensors: dict[str, Tensor]


Sections = dict[str, list[Layer]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds. A classifier has the sections ``stages`` and ``predictor`` only."""

    source: str
    layout: Layout
    averaged: bool
    """Whether the tensors are the moving averages of a training (EMA)."""
    sections: Sections
    pixels: Pixels | None = None
    """How a classifier's images were normalized; None where the file doesn't say."""
    classes: tuple[str, ...] | None = None


_SECTIONS = {
    "D2Go detector": {
        r"backbone\.(body|bottom_up)\.trunk\d+\.": "trunk",
        r"backbone\.fpn_": "pyramid",
        r"proposal_generator\.rpn_head\.rpn_feature\.": "RPN tower",
        r"proposal_generator\.rpn_head\.rpn_regressor\.": "RPN predictor",
        r"roi_heads\.box_head\.": "box head",
        r"roi_heads\.box_predictor\.": "box predictor",
        r"roi_heads\.mask_head\.predictor\.": "mask predictor",
        r"roi_heads\.mask_head\.": "mask head",
        r"roi_heads\.keypoint_head\.": "keypoint head",
    },
    "nars detector": {
        r"backbone\.trunk\.": "trunk",
        r"backbone\.fpn\.": "pyramid",
        r"rpn\.head\.tower\.": "RPN tower",
        r"rpn\.head\.": "RPN predictor",
        r"roi_heads\.box_head\.": "box head",
        r"roi_heads\.box_predictor\.": "box predictor",
        r"roi_heads\.mask_head\.": "mask head",
        r"roi_heads\.mask_predictor\.": "mask predictor",
    },
}
"""Sections by how the names of their tensors start; the first match counts."""

_CONSTANTS = re.compile(r"(^|\.)(pixel_mean|pixel_std|cell_anchors\.\d+)$")
"""What older checkpoints carry beside the network; ours come from the settings."""

_WRAPPERS = re.compile(r"^(module\.)+|_orig_mod\.|_checkpoint_wrapped_module\.")
"""What parallel, compiled and rematerialised modules put into names."""

_PLAIN, _AVERAGED = ("model", "state_dict", "model_state_dict"), ("ema_state", "model_ema", "state_dict_ema")

_IMAGENET = Pixels(order="rgb", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
"""As timm trains. Source: `default_cfg` of its fbnetv3 models."""


def read_checkpoint(path_or_name: str | Path) -> Checkpoint:
    """Read a file, or the published weights of that name: see `detector.weights.zoo`.

    Raises `WeightsError` for what is no checkpoint, and for a file that holds code, unrun.
    """
    path = Path(path_or_name)
    if not path.exists() and isinstance(path_or_name, str) and not path.suffix:
        path = zoo.fetch(path_or_name)
    content = _read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path}: not a checkpoint: a dictionary is expected, got {type(content).__name__}"
        )
    if content.get("format") == "nars.weights":
        return _own_classifier(content, str(path))
    state, averaged = _state(content, str(path))
    layout, sections = sections_of(state, str(path))
    classes = content.get("classes")
    return Checkpoint(
        source=str(path),
        layout=layout,
        averaged=averaged,
        sections=sections,
        pixels=_IMAGENET if layout == "timm classifier" else None,
        classes=tuple(map(str, classes)) if isinstance(classes, list | tuple) else None,
    )


def sections_of(state: Mapping[str, Tensor], source: str) -> tuple[Layout, Sections]:
    """The layers of a state by section. Raises `WeightsError` for a state of an unknown kind."""
    names = {name: _WRAPPERS.sub("", name) for name in state}
    clean = {names[name]: tensor for name, tensor in state.items() if not _CONSTANTS.search(names[name])}
    layout = _layout(clean)
    if layout in _SECTIONS:
        rules = _SECTIONS[layout]
        sections: Sections = {}
        for layer in _layers(clean):
            where = next(
                (section for rule, section in rules.items() if re.match(rule, layer.name + ".")), None
            )
            if where is None:
                raise WeightsError(f"{source}: {layer.name} belongs to no known part of a detector")
            sections.setdefault(where, []).append(layer)
        return layout, sections
    layers = _layers(clean)
    if len(layers) < 2 or layers[0].tensors.get("weight", torch.empty(0)).dim() != 4:
        raise WeightsError(f"{source}: neither a detector nor a classifier that starts with a convolution")
    return layout, {"stages": layers[:-1], "predictor": layers[-1:]}


def _layout(names: Iterable[str]) -> Layout:
    known = set(names)
    if any(name.startswith(("proposal_generator.", "roi_heads.", "backbone.")) for name in known):
        ours = any(name.startswith("backbone.trunk.") for name in known)
        published = any(re.match(r"backbone\.(body|bottom_up)\.trunk\d", name) for name in known)
        if ours or published:
            return "nars detector" if ours else "D2Go detector"
    if "conv_stem.weight" in known:
        return "timm classifier"
    return "nars classifier" if any(name.startswith("stages.0.0.") for name in known) else "classifier"


def _layers(state: Mapping[str, Tensor]) -> list[Layer]:
    """In the order in which each first appears: averages list all buffers after all parameters."""
    layers: dict[str, Layer] = {}
    for name, tensor in state.items():
        owner, _, leaf = name.rpartition(".")
        layers.setdefault(owner, Layer(owner, {})).tensors[leaf] = tensor
    return list(layers.values())


def _state(content: Mapping[str, Any], source: str) -> tuple[dict[str, Tensor], bool]:
    """The tensors of a checkpoint, averages where there are any, in the order of the network."""
    plain = next((content[key] for key in (*_PLAIN, "state") if isinstance(content.get(key), dict)), None)
    averages = next((content[key] for key in _AVERAGED if content.get(key)), None)
    if isinstance(averages, dict) and isinstance(averages.get("state"), dict):
        averages = averages["state"]
    if plain is None and averages is None:
        plain = content
    state = {**(plain or {}), **(averages or {})}
    wrong = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    if not state or wrong is not None:
        found = "it is empty" if wrong is None else f"{wrong!r} is not a tensor"
        raise WeightsError(f"{source}: no state of a network in it: {found}")
    return state, averages is not None


def _own_classifier(content: Mapping[str, Any], source: str) -> Checkpoint:
    try:
        pixels = Pixels(
            order="rgb",
            mean=tuple(255 * value for value in content["mean"]),
            std=tuple(255 * value for value in content["std"]),
        )
        layout, sections = sections_of(content["state"], source)
        classes = tuple(map(str, content["classes"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WeightsError(f"{source}: damaged: {error}") from None
    return Checkpoint(source, layout, False, sections, pixels, classes)


def read_pickle(path: Path) -> Any:
    """What `torch.save` wrote, in any of its formats. Raises `WeightsError`; code is refused unrun."""
    try:
        data = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        with warnings.catch_warnings(action="ignore"):  # of an old format
            return torch.load(data, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it asks for {named[1]}" if named else "it is not made of tensors and plain values"
        raise WeightsError(f"{path}: refused, since opening it could run code: {what}") from None
    except Exception as error:  # a broken file can make the reader fail in any way
        told = isinstance(error, RuntimeError) and bool(str(error))  # other kinds name a byte, or nothing
        reason = str(error).splitlines()[0] if told else "cut short, or not written by torch.save"
        raise WeightsError(f"{path}: not a whole checkpoint: {reason}") from None


_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """The format in full: the length of a JSON header, the header, and the numbers it points into."""
    try:
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            start, end = entry["data_offsets"]
            count = math.prod(entry["shape"])
            kind = _TYPES[entry["dtype"]]
            if not 0 <= start <= end <= len(body) or end - start != count * kind.itemsize:
                raise ValueError(f"the numbers of {name} are not all there")
            flat = torch.frombuffer(body, dtype=kind, count=count, offset=start) if count else torch.empty(0)
            tensors[name] = flat.reshape(entry["shape"])
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: not a whole safetensors file: {error}") from None
    return tensors
