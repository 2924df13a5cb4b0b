"""Files of a classifier's trained weights, with all that is needed to use them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from nars.errors import WeightsError
from nars.foreign.names import one_line
from nars.networks.build import build
from nars.spec import Candidate
from nars.tensors import FileFormat, damage_named, read_tensors

__all__ = ["WEIGHTS", "Weights", "check_state", "load_into", "load_weights", "measured", "save_weights"]

WEIGHTS = FileFormat(
    "nars.weights",
    schema=1,
    title="nars weights",
    documents=("candidate",),
    values=("mean", "std", "classes", "metrics"),
    notes=("data_fingerprint",),
)
"""The format of these files."""


@dataclass(frozen=True, eq=False)
class Weights:
    """The content of a file of weights."""

    candidate: Candidate
    """The architecture, and the recipe it was trained with."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Mean of the images it was trained on, per channel, in 0..1."""
    std: tuple[float, ...]
    """Their standard deviation."""
    metrics: Mapping[str, float]
    state: Mapping[str, Tensor]
    """The network's state, on the CPU."""
    source: str
    """The file, for messages."""
    data_fingerprint: str | None = None
    """The fingerprint of the data it was trained on; None in older files."""

    @classmethod
    def of(cls, content: Any, source: str) -> Self:
        """Validate what `read_tensors` returned. Raises `WeightsError`."""
        fields = WEIGHTS.parse(content, source)
        with damage_named(source):
            return cls(
                candidate=Candidate.from_yaml(fields["candidate"], source),
                classes=tuple(map(str, fields["classes"])),
                mean=_three(fields["mean"]),
                std=_deviations(fields["std"]),
                metrics=measured(fields["metrics"]),
                state=fields["state"],
                source=source,
                data_fingerprint=fields["data_fingerprint"],
            )

    def network(self) -> nn.Module:
        """The classifier with these weights, in evaluation mode. Raises `WeightsError`."""
        model = build(self.candidate.architecture, len(self.classes), self.candidate.recipe)
        load_into(model, self.state, self.source)
        return model.eval()


def save_weights(
    path: str | Path,
    model: nn.Module,
    candidate: Candidate,
    metrics: Mapping[str, float],
    *,
    classes: Sequence[str],
    mean: Tensor,
    std: Tensor,
    data_fingerprint: str | None = None,
) -> None:
    """Write the weights of `model`, as ``.safetensors`` if `path` ends so, else with `torch.save`.

    `classes`, `mean` [3] and `std` [3], in 0..1, and the fingerprint are those of the images it was trained
    on. The file is written whole or not at all. Raises `RunError`.
    """
    fields = {
        "candidate": candidate.to_yaml(),
        "classes": list(classes),
        "mean": mean.tolist(),
        "std": std.tolist(),
        "metrics": dict(metrics),
        "data_fingerprint": data_fingerprint,
    }
    WEIGHTS.write(path, fields, model.state_dict())


def load_weights(path: str | Path) -> Weights:
    """Read what `save_weights` wrote. Raises `WeightsError`; code in a file is refused, not run."""
    return Weights.of(read_tensors(path), str(path))


def load_into(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load `state` into `model`. Raises `WeightsError` with the first tensor that does not fit."""
    check_state(model.state_dict(), state, source)
    model.load_state_dict(state)


def check_state(own: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str) -> None:
    """Raise `WeightsError` with the first tensor of `state` that a network with state `own` cannot take."""
    for name, tensor in own.items():
        if name not in state:
            raise WeightsError(f"{source}: has no {name}, which the network has")
        given = state[name]
        if given.shape != tensor.shape:
            shapes = f"shape {tuple(given.shape)}, the network's is {tuple(tensor.shape)}"
            raise WeightsError(one_line(f"{source}: {name} has {shapes}"))
        if given.is_floating_point() != tensor.is_floating_point():
            raise WeightsError(f"{source}: {name} is of {given.dtype}, the network's is of {tensor.dtype}")
        if not bool(given.isfinite().all()):
            raise WeightsError(f"{source}: {name} has values that are not finite")
    extra = next((name for name in state if name not in own), None)
    if extra is not None:
        raise WeightsError(one_line(f"{source}: has {extra}, which the network has not"))


def measured(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics in a file, whose values have to be numbers. Raises `ValueError`."""
    wrong = next((name for name, value in metrics.items() if not isinstance(value, int | float | None)), None)
    if wrong is not None:
        raise ValueError(f"metric {str(wrong)[:80]!r} is no number")
    return {str(name): value for name, value in metrics.items()}


def _three(values: Sequence[float]) -> tuple[float, ...]:
    if len(values) != 3:
        raise ValueError(f"expected three channels, got {len(values)}")
    numbers = tuple(float(value) for value in values)
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"a mean or a deviation of a channel is not finite: {numbers}")
    return numbers


def _deviations(values: Sequence[float]) -> tuple[float, ...]:
    numbers = _three(values)
    if min(numbers) <= 0:
        raise ValueError(f"a deviation of a channel is not above 0: {numbers}")
    return numbers
