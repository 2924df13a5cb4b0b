"""The costs of a network, stage by stage: shape, MACs, parameters and, if asked for, latency.

MACs and parameters are in closed form (`nars.space.cost`), so a profile without latency builds no
network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nars.errors import SpecError, UsageError
from nars.space.block_rows import rows_of
from nars.space.cost import count_classifier, count_rows
from nars.space.costs import Cost
from nars.spec import Architecture

if TYPE_CHECKING:
    import torch
    from rich.table import Table

    from nars.networks.latency import Latency

__all__ = ["Profile", "Stage", "profile"]


@dataclass(frozen=True)
class Stage:
    """A stage of an architecture, or the classifier after the last."""

    name: str
    shape: tuple[int, ...]
    """Shape of its output for one image: (channels, height, width), or (classes,)."""
    cost: Cost
    latency: float | None = None
    """Median seconds of this stage alone, for one image."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "shape": list(self.shape),
            **asdict(self.cost),
            "latency": self.latency,
        }


@dataclass(frozen=True)
class Profile:
    """Costs of a network under both countings (see `nars.space.cost`); the stages add up to the total."""

    name: str
    resolution: int
    num_classes: int
    stages: tuple[Stage, ...]
    total: Cost
    latency: Latency | None = None
    """Latency of the whole network, usually less than the sum over stages: timing each takes time."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and names, latency in seconds."""
        return {
            "name": self.name,
            "resolution": self.resolution,
            "num_classes": self.num_classes,
            **asdict(self.total),
            "latency": None if self.latency is None else asdict(self.latency),
            "stages": [stage.to_dict() for stage in self.stages],
        }

    @property
    def title(self) -> str:
        """The network that was counted, in a few words."""
        return f"{self.name} at {self.resolution} px, for {self.num_classes} classes"

    def table(self) -> Table:
        """A table for a terminal: the stages, then the total under both countings."""
        from rich.table import Table

        table = Table()
        table.add_column("stage")
        for column in ("output", "MACs", "parameters", *(["ms"] if self.latency else [])):
            table.add_column(column, justify="right")

        def add(name: str, output: str, macs: int, params: int, seconds: float | None) -> None:
            time = "" if seconds is None else f"{1e3 * seconds:.2f}"
            table.add_row(name, output, f"{macs:,}", f"{params:,}", *([time] if self.latency else []))

        for stage in self.stages:
            output = " x ".join(map(str, stage.shape))
            add(stage.name, output, stage.cost.macs, stage.cost.params, stage.latency)
        table.add_section()
        total = self.total
        add("total", "", total.macs, total.params, self.latency.median if self.latency else None)
        add("as published", "", total.published_flops, total.published_params, None)
        return table


def profile(
    architecture: Architecture,
    resolution: int | None = None,
    num_classes: int = 1000,
    latency_device: torch.device | None = None,
) -> Profile:
    """The costs of a classifier for one image, and its latency on `latency_device` if that is given.

    Raises `UsageError` for a resolution or class count below 1, `SpecError` for a resolution at
    which a stage has no output.
    """
    side = architecture.resolution if resolution is None else resolution
    if side < 1 or num_classes < 1:
        raise UsageError(f"resolution and classes are 1 or more, got {side} and {num_classes}")
    stages = _stages(architecture, side, num_classes)
    total = sum((stage.cost for stage in stages), Cost())
    if latency_device is None:
        return Profile(architecture.name, side, num_classes, tuple(stages), total)
    seconds, whole = _latencies(architecture, side, num_classes, latency_device)
    timed = [
        Stage(stage.name, stage.shape, stage.cost, median)
        for stage, median in zip(stages, seconds, strict=True)
    ]
    return Profile(architecture.name, side, num_classes, tuple(timed), total, whole)


def _stages(architecture: Architecture, resolution: int, num_classes: int) -> list[Stage]:
    side, channels = np.array([resolution]), np.array([architecture.in_channels])
    stages = []
    for index, rows in enumerate(architecture.stages):
        cost, side, channels = count_rows(rows_of(rows), side, channels)
        if side[0] < 1:
            raise SpecError(f"{architecture.name} has no output after stage {index} at {resolution} pixels")
        stages.append(Stage(f"stage {index}", (int(channels[0]), int(side[0]), int(side[0])), cost.at(0)))
    head = count_classifier(side, channels, num_classes)
    return [*stages, Stage("classifier", (num_classes,), head.at(0))]


def _latencies(
    architecture: Architecture, resolution: int, num_classes: int, device: torch.device
) -> tuple[Sequence[float], Latency]:
    """Seconds of every stage and of the classifier, each timed alone on its real input, and of the whole."""
    import torch

    from nars.device import seeded
    from nars.networks.build import Classifier, build
    from nars.networks.latency import time_forward

    with seeded(0, device):
        model = build(architecture.replace(resolution=resolution), num_classes).eval().to(device)
    assert isinstance(model, Classifier)
    model = model.to(memory_format=torch.channels_last)
    image = torch.zeros(1, architecture.in_channels, resolution, resolution, device=device)
    image = image.contiguous(memory_format=torch.channels_last)
    whole = time_forward(model, image)
    seconds = []
    x = image
    for part in (*model.stages, model.head):
        seconds.append(time_forward(part, x, seconds=0.1).median)
        with torch.inference_mode():
            x = part(x)
    return seconds, whole
