"""Times a training step beside nothing else: as it is, and recorded as a CUDA graph."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["seconds_of"]

_STEPS, _WARM = 50, 6
"""Steps that are timed, and those before."""


def seconds_of(step: Callable[[], Tensor], optimizer: Optimizer) -> tuple[float, float]:
    """Return the mean seconds of a step that trains with `optimizer`, eager and recorded."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        eager = _mean(step)
        optimizer.zero_grad()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        step()
    return eager, _mean(graph.replay)


def _mean(step: Callable[[], object]) -> float:
    for _ in range(_WARM):
        step()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(_STEPS):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / _STEPS
