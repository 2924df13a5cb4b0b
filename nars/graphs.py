"""Functions on a GPU as CUDA graphs: recorded once for each shape of their arguments, then replayed.

The training of a compact network is bound by launches: a step of it is some hundred kernels of microseconds,
and the CPU needs longer to launch each than the GPU to run it. A replay launches all of them at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Replayed"]

logger = logging.getLogger(__name__)

_EAGER = 3
"""Calls before the first recording: optimizers make their state in the first one. Source: PyTorch's notes on
CUDA graphs, which ask for "a few"."""

_MOST = 8
"""Shapes that are recorded; calls with further ones run as they are."""

_Shape = tuple[tuple[torch.Size, torch.dtype], ...]


class Replayed:
    """A function of tensors on one GPU that is recorded as a CUDA graph.

    Every call does what the function does, once: the first few, and the first with each new shape, run as
    they are; then one is recorded and replayed. The function may change tensors that outlive it, such as
    weights; it reads no value back; whatever changes from call to call is in a tensor. If memory runs out
    while it is recorded, it goes on unrecorded, which is logged.
    """

    def __init__(
        self, function: Callable[..., Tensor], device: torch.device, prepare: Callable[[], None]
    ) -> None:
        """`prepare` is called before a recording, to drop what the recording has to allocate itself."""
        self._function, self._prepare = function, prepare
        self._stream = torch.cuda.Stream(device)
        self._pool: Any = torch.cuda.graph_pool_handle()
        self._calls = 0
        self._seen: set[_Shape] = set()
        self._graphs: dict[_Shape, _Graph] = {}
        self._records = True

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's result, a copy that later calls leave alone."""
        shape = tuple((each.shape, each.dtype) for each in inputs)
        graph = self._graphs.get(shape)
        if graph is None and self._is_due(shape):
            graph = self._record(shape, inputs)
        if graph is not None:
            return graph(inputs)
        self._seen.add(shape)
        self._calls += 1
        caller = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(caller)
        with torch.cuda.stream(self._stream):
            result = self._function(*inputs)
        caller.wait_stream(self._stream)
        return result

    def _is_due(self, shape: _Shape) -> bool:
        return self._records and self._calls >= _EAGER and shape in self._seen and len(self._graphs) < _MOST

    def _record(self, shape: _Shape, inputs: tuple[Tensor, ...]) -> _Graph | None:
        self._prepare()
        try:
            graph = _Graph(self._function, inputs, self._stream, self._pool)
        except torch.OutOfMemoryError:
            logger.warning("too little GPU memory to record a step as a CUDA graph: training goes on slower")
            self._records = False
            self._prepare()
            return None
        self._graphs[shape] = graph
        return graph


class _Graph:
    """One recording, with the tensors that it reads and writes."""

    def __init__(
        self,
        function: Callable[..., Tensor],
        inputs: tuple[Tensor, ...],
        stream: torch.cuda.Stream,
        pool: Any,
    ) -> None:
        self._inputs = tuple(each.clone() for each in inputs)
        self._graph = torch.cuda.CUDAGraph()
        # Threads that load images may use the GPU meanwhile.
        with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self._result = function(*self._inputs)

    def __call__(self, inputs: tuple[Tensor, ...]) -> Tensor:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._result.clone()
