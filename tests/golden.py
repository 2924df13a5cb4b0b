"""The deterministic weights and inputs that the golden numbers in tests/data were made with.

The published code was run with every tensor filled by a fixed formula of its position in the
ordered `state_dict` and of its kind (rule v1), so a network that has the same tensors in the
same order gives the same output, whatever its tensors are called.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DATA = Path(__file__).parent / "data"


def load(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def fill(network: nn.Module, gain: float) -> nn.Module:
    """Fill all tensors by rule v1 with G = `gain`, in place; the network in evaluation mode."""
    for position, (key, tensor) in enumerate(network.state_dict().items()):
        owner, _, leaf = key.rpartition(".")
        is_norm = isinstance(network.get_submodule(owner), nn.modules.batchnorm._BatchNorm)
        values = _values(position, tensor.numel()).reshape(tensor.shape)
        tensor.copy_(torch.from_numpy(_scaled(values, leaf, is_norm, gain)))
    return network.eval()


def _values(position: int, size: int) -> np.ndarray:
    j = np.arange(size, dtype=np.int64)
    return np.sin(0.37 * j + 1.3 * position + 0.5 + 0.1 * ((j * j) % 7919))


def _scaled(v: np.ndarray, leaf: str, is_norm: bool, gain: float) -> np.ndarray:
    if not is_norm:
        return 0.1 * v if leaf == "bias" else v * np.sqrt(gain / np.prod(v.shape[1:]))
    return {
        "weight": 1 + 0.1 * v,
        "bias": 0.4 + 0.2 * v,
        "running_mean": 0.1 * v,
        "running_var": 1 + 0.5 * np.abs(v),
        "num_batches_tracked": np.zeros_like(v),
    }[leaf]


def make_input(batch: int, channels: int, height: int, width: int) -> Tensor:
    """The deterministic image batch of rule v1, float64."""
    shape = (batch, channels, height, width)
    b, c, h, w = np.meshgrid(*map(np.arange, shape), indexing="ij", sparse=True)
    ripples = 0.5 * np.sin(0.01 * ((h * w) % 97) * (c + 1) + b)
    return torch.from_numpy(np.sin(0.1 * (1 + b) * h + 0.2 * w + c + 2 * b) + ripples)


def shapes_hash(network: nn.Module) -> str:
    """A fingerprint of the shapes in `state_dict`, in their order."""
    shapes = [list(tensor.shape) for tensor in network.state_dict().values()]
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:16]


def deviation(found: Tensor, expected: list[float]) -> float:
    """Largest difference, relative to the largest expected magnitude."""
    golden = torch.tensor(expected, dtype=torch.float64)
    return float((found.double() - golden).abs().max() / golden.abs().max())
