"""Small valid files that members of the kinds are made from."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import torch

from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.model.settings import Settings
from nars.networks.build import build
from nars.spec import Architecture, Candidate, Recipe

__all__ = ["architecture", "candidate", "classifier", "detector", "saved", "settings", "training"]


@cache
def architecture() -> Architecture:
    """A network of three layers."""
    conv = {"op": "conv", "channels": 8, "kernel": 3, "stride": 2}
    return Architecture.of({"name": "a", "resolution": 16, "stages": [[conv], [_mbconv(8)]]})


@cache
def candidate() -> Candidate:
    """The network with a recipe."""
    return Candidate(architecture=architecture(), recipe=Recipe(epochs=2, dropout=0.1))


def classifier() -> dict[str, Any]:
    """The content of a file of `nars train`."""
    torch.manual_seed(0)
    fields = {"candidate": candidate().to_yaml(), "mean": [0.5] * 3, "std": [0.2] * 3}
    head = {"format": "nars.weights", "schema": 1, "classes": ["a", "b"], "metrics": {"accuracy": 0.5}}
    return head | fields | {"state": build(architecture(), 2).state_dict()}


def settings() -> Settings:
    """Settings of a detector of pictures of 32 pixels."""
    sizes = {"train_candidates": 20, "train_proposals": 10, "test_candidates": 20, "test_proposals": 5}
    return Settings(shortest=(32,), longest=32, norm="bn", anchor_sizes=((8,),), **sizes)


@cache
def _parts() -> Parts:
    conv = {"op": "conv", "channels": 8, "kernel": 3, "stride": 2}
    trunk = [[conv], [_mbconv(8, 2)]]
    return Parts.of({"name": "d", "trunk": trunk, "rpn": [_mbconv(8)], "box": [_mbconv(8, 2)]})


def detector() -> dict[str, Any]:
    """The content of a file of `nars detect train`."""
    torch.manual_seed(0)
    model = Detector(_parts(), 2, settings())
    fields = {"parts": _parts().model_dump(mode="json", exclude_defaults=True), "data": "digit-scenes"}
    head = {"format": "nars.detector", "schema": 1, "classes": ["a", "b"], "metrics": {"AP": 0.5}}
    return head | fields | {"settings": settings().to_yaml(), "state": model.state_dict()}


def training() -> dict[str, Any]:
    """The content of the checkpoint that a training continues from."""
    model = torch.nn.Linear(2, 2)
    return {
        "identity": {"seed": 0},
        "parts": {"model": model.state_dict(), "optimizer": torch.optim.SGD(model.parameters()).state_dict()},
        "generator": torch.Generator().get_state(),
        "cpu": torch.get_rng_state(),
        "cuda": None,
        "curve": [{"epoch": 1, "epochs": 2, "score": 0.5, "loss": 1.0, "seconds": 2.0}],
    }


def saved(content: Any, *, archive: bool = True) -> bytes:
    """The bytes of `torch.save`, as an archive or in the format before it."""
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=archive)
    return stream.getvalue()


def _mbconv(channels: int, stride: int = 1) -> dict[str, Any]:
    return {"op": "mbconv", "channels": channels, "kernel": 3, "expansion": 2, "stride": stride}
