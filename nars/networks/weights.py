"""Files of trained weights, with what is needed to use them; reading one runs no code from it."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nars.data import ImageData
from nars.errors import SpecError, WeightsError
from nars.files import write_whole
from nars.spec import Candidate

__all__ = ["Weights", "load_into", "load_weights", "save_weights"]

_FORMAT, _SCHEMA = "nars.weights", 1
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, eq=False)
class Weights:
    """The content of a file of weights."""

    candidate: Candidate
    """The architecture, and the recipe it was trained with."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Of the images it was trained on, per channel, in 0..1."""
    std: tuple[float, ...]
    metrics: Mapping[str, float]
    state: Mapping[str, Tensor]
    """The network's state, on the CPU."""
    source: str

    def network(self) -> nn.Module:
        """The classifier with these weights, in evaluation mode. Raises `WeightsError`."""
        from nars.networks.build import build

        model = build(self.candidate.architecture, len(self.classes), self.candidate.recipe)
        load_into(model, self.state, self.source)
        return model.eval()


def save_weights(
    path: str | Path, model: nn.Module, candidate: Candidate, data: ImageData, metrics: Mapping[str, float]
) -> None:
    """Write the weights of `model`, trained on `data`; whole or not at all. Raises `RunError`."""
    content = {
        "format": _FORMAT,
        "schema": _SCHEMA,
        "candidate": candidate.to_yaml(),
        "classes": list(data.classes),
        "mean": data.mean.tolist(),
        "std": data.std.tolist(),
        "metrics": dict(metrics),
        "state": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


def load_weights(path: str | Path) -> Weights:
    """Read what `save_weights` wrote. Raises `WeightsError`; a file with code in it is refused unrun."""
    content = _read(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise WeightsError(f"{path}: not a file of nars weights")
    if content.get("schema") != _SCHEMA:
        raise WeightsError(f"{path}: schema is {content.get('schema')!r}, this version reads {_SCHEMA}")
    try:
        state = content["state"]
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise WeightsError(f"{path}: its state is not made of tensors")
        return Weights(
            candidate=Candidate.from_yaml(content["candidate"], str(path)),
            classes=tuple(map(str, content["classes"])),
            mean=_three(content["mean"]),
            std=_three(content["std"]),
            metrics=dict(content["metrics"]),
            state=state,
            source=str(path),
        )
    except (KeyError, TypeError, ValueError, AttributeError, SpecError) as error:
        raise WeightsError(f"{path}: damaged: {error}") from None


def load_into(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load `state` into `model`. Raises `WeightsError` with the first tensor that does not fit."""
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in state:
            raise WeightsError(f"{source}: has no {name}, which the network has")
        if state[name].shape != tensor.shape:
            found, wanted = tuple(state[name].shape), tuple(tensor.shape)
            raise WeightsError(f"{source}: {name} has shape {found}, the network's is {wanted}")
    extra = next((name for name in state if name not in own), None)
    if extra is not None:
        raise WeightsError(f"{source}: has {extra}, which the network has not")
    model.load_state_dict(state)


def _read(path: str | Path) -> Any:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    if not content.startswith(_ZIP):
        raise WeightsError(f"{path}: refused: not in the zip format of torch.save")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        rule = "weights are tensors and plain values, and nothing that runs code is opened"
        raise WeightsError(f"{path}: refused: {rule}") from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{path}: not a whole checkpoint: {str(error).splitlines()[0]}") from None


def _three(values: Sequence[float]) -> tuple[float, ...]:
    if len(values) != 3:
        raise ValueError(f"expected three channels, got {len(values)}")
    return tuple(float(value) for value in values)
