"""Reads third-party and our own checkpoints; the layout is detected from the content.

These are D2Go and detectron2 checkpoints, averaged ones included, classifiers of mobile-vision and
timm, and our own files. Each becomes sections of layers with plain names ("trunk", "box head",
...); `detector.weights.loading` moves those into a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

import torch
from torch import Tensor

from detector.model.settings import Pixels
from detector.weights import zoo
from detector.weights.saved import DETECTOR, SavedDetector
from nars.errors import WeightsError
from nars.networks.weights import WEIGHTS, Weights
from nars.tensors import damage_named, format_of, read_tensors

__all__ = ["Checkpoint", "Layer", "checkpoint_of", "read_checkpoint", "sections_of"]

Layout = Literal["D2Go detector", "nars detector", "nars classifier", "timm classifier", "classifier"]


@dataclass(frozen=True, eq=False)
class Layer:
    """The tensors of one module by the last part of their names: ``weight``, ``running_mean``, ..."""

    name: str
    tensors: dict[str, Tensor]


Sections = dict[str, list[Layer]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a file. A classifier has the sections ``stages`` and ``predictor`` only."""

    source: str
    layout: Layout
    averaged: bool
    """Whether the tensors are the moving averages of a training (EMA)."""
    sections: Sections
    pixels: Pixels | None = None
    """How the images were normalized; None if the file doesn't say."""
    classes: tuple[str, ...] | None = None
    detector: SavedDetector | None = None
    """The content of a detector's file of our own."""


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
"""Sections by the start of their tensors' names; the first match counts."""

_CONSTANTS = re.compile(r"(^|\.)(pixel_mean|pixel_std|cell_anchors\.\d+|n_averaged)$")
"""Tensors that are not part of the network: constants in older checkpoints, which come from the settings
here, and the count of PyTorch's averages."""

_WRAPPERS = re.compile(r"^(module\.)+|_orig_mod\.|_checkpoint_wrapped_module\.")
"""Prefixes that parallel, compiled and rematerialized modules put into names."""

_PLAIN, _AVERAGED = ("model", "state_dict", "model_state_dict"), ("ema_state", "model_ema", "state_dict_ema")
"""Keys of a network's state and of its averages."""

_IMAGENET = Pixels(order="rgb", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
"""Pixels as timm normalizes them. Source: `default_cfg` of its fbnetv3 models."""


def read_checkpoint(path_or_name: str | Path) -> Checkpoint:
    """Read a file, or the published weights of that name: see `detector.weights.zoo`.

    Raises `WeightsError` for a file that is not a checkpoint, and for a file that holds code, without
    running it.
    """
    path = Path(path_or_name)
    if not path.exists() and isinstance(path_or_name, str) and not path.suffix:
        path = zoo.fetch(path_or_name)
    content, source = read_tensors(path), str(path)
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path}: not a checkpoint: a dictionary is expected, got {type(content).__name__}"
        )
    match format_of(content):
        case WEIGHTS.name:
            return checkpoint_of(Weights.of(content, source))
        case DETECTOR.name:
            return checkpoint_of(SavedDetector.of(content, source))
    state, averaged = _state(content, source)
    layout, sections = sections_of(state, source)
    classes = content.get("classes")
    return Checkpoint(
        source=source,
        layout=layout,
        averaged=averaged,
        sections=sections,
        pixels=_IMAGENET if layout == "timm classifier" else None,
        classes=tuple(map(str, classes)) if isinstance(classes, list | tuple) else None,
    )


def checkpoint_of(saved: Weights | SavedDetector) -> Checkpoint:
    """The checkpoint in a file of our own that has been read. Raises `WeightsError`."""
    if isinstance(saved, SavedDetector):
        pixels = saved.settings.pixels
    else:
        mean, std = ([255 * value for value in values] for values in (saved.mean, saved.std))
        with damage_named(saved.source):
            pixels = Pixels.of({"order": "rgb", "mean": mean, "std": std})
    layout, sections = sections_of(saved.state, saved.source)
    own = saved if isinstance(saved, SavedDetector) else None
    return Checkpoint(saved.source, layout, False, sections, pixels, saved.classes, own)


def sections_of(state: Mapping[str, Tensor], source: str) -> tuple[Layout, Sections]:
    """The layers of a state by section. Raises `WeightsError` for a state of an unknown kind."""
    names = {name: _WRAPPERS.sub("", name) for name in state}
    clean = {names[name]: tensor for name, tensor in state.items() if not _CONSTANTS.search(names[name])}
    layout = _layout(clean)
    if layout in _SECTIONS:
        rules = _SECTIONS[layout]
        sections: Sections = {}
        for layer in _layers(clean):
            matches = (section for rule, section in rules.items() if re.match(rule, layer.name + "."))
            section = next(matches, None)
            if section is None:
                raise WeightsError(f"{source}: {layer.name} belongs to no known part of a detector")
            sections.setdefault(section, []).append(layer)
        return layout, sections
    layers = _layers(clean)
    if len(layers) < 2 or layers[0].tensors.get("weight", torch.empty(0)).dim() != 4:
        raise WeightsError(f"{source}: neither a detector nor a classifier that starts with a convolution")
    return layout, {"stages": layers[:-1], "predictor": layers[-1:]}


def _layout(names: Iterable[str]) -> Layout:
    names = set(names)
    if any(name.startswith(("proposal_generator.", "roi_heads.", "backbone.")) for name in names):
        ours = any(name.startswith("backbone.trunk.") for name in names)
        published = any(re.match(r"backbone\.(body|bottom_up)\.trunk\d", name) for name in names)
        if ours or published:
            return "nars detector" if ours else "D2Go detector"
    if "conv_stem.weight" in names:
        return "timm classifier"
    return "nars classifier" if any(name.startswith("stages.0.0.") for name in names) else "classifier"


def _layers(state: Mapping[str, Tensor]) -> list[Layer]:
    """Layers in the order in which each first appears; averages list all buffers after all parameters."""
    layers: dict[str, Layer] = {}
    for name, tensor in state.items():
        owner, _, leaf = name.rpartition(".")
        layers.setdefault(owner, Layer(owner, {})).tensors[leaf] = tensor
    return list(layers.values())


def _state(content: Mapping[str, Any], source: str) -> tuple[dict[str, Tensor], bool]:
    """The tensors of a checkpoint, and whether averages are among them; these replace the others."""
    plain = next((content[key] for key in (*_PLAIN, "state") if isinstance(content.get(key), dict)), None)
    averages = next((value for key in _AVERAGED if _holds_tensors(value := content.get(key))), None)
    if averages is not None and isinstance(averages.get("state"), dict):
        averages = averages["state"]
    if plain is None and averages is None:
        plain = content
    state = {**(plain or {}), **(averages or {})}
    wrong = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    if not state or wrong is not None:
        reason = "it is empty" if wrong is None else f"{wrong!r} is not a tensor"
        raise WeightsError(f"{source}: no state of a network in it: {reason}")
    return state, averages is not None


def _holds_tensors(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a field is a state; under the same names others keep a decay, or a whole module."""
    return isinstance(value, dict) and bool(value)
