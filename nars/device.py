"""Devices that networks run on: how one is chosen, its random numbers, precision and memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from nars.errors import TrialMemoryError, UsageError, closest

__all__ = ["compiles", "half_precision", "kernels_for", "memory_errors", "resolve", "seeded"]

_FEW_PIXELS = 1e9
"""Pixels in all passes of a network below which cuDNN's compiling does not pay.

On one H200, EfficientNet-Lite0 at 96 pixels learnt from 16 300 images a second with cuDNN and from 7 200
without; a network of 3 M MACs at 24 pixels from 142 000 and 65 000 in batches of 512, and from 30 000
either way in batches of 64. So ten seconds of compiling are won back after 1.2e9 and .7e9 pixels; those of
a detector, seventeen, whose steps of 1.07e6 pixels take 20 ms instead of 48, after .7e9.
Sources: `experiments/gpu_classification.py`, `gpu_detection.py`."""

_may_compile: ContextVar[bool] = ContextVar("may_compile", default=True)

_CPU_MEMORY = ("not enough memory", "can't allocate memory")
"""Parts of the messages with which PyTorch's CPU allocator raises a plain RuntimeError."""

_GPU_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Likewise of CUDA and its libraries, which take memory beside PyTorch's allocator: all is taken by other
programs, say."""


def resolve(name: str | torch.device = "auto") -> torch.device:
    """The device called `name`: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    ``auto`` is CUDA's current device, or the CPU without CUDA. Raises `UsageError` for an unknown
    name and for a device that is not available.
    """
    kind, _, index = str(name).partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise UsageError(f"unknown device {str(name)!r}: {closest(kind, ('auto', 'cpu', 'cuda', 'cuda:N'))}")
    if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise UsageError(f"device {str(name)!r}: no CUDA device is available here; use cpu")
    number = int(index) if index else torch.cuda.current_device()
    if number >= count:
        raise UsageError(f"device {str(name)!r}: there are {count} CUDA devices, numbered from 0")
    return torch.device("cuda", number)


def half_precision(device: torch.device) -> torch.dtype | None:
    """The type to autocast to: bfloat16 if the GPU computes in it, else float16; None on a CPU."""
    if device.type != "cuda":
        return None
    with torch.cuda.device(device):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Run the body with PyTorch's global generators seeded, and restore them afterwards.

    Initialization, dropout, stochastic depth and mixup draw from these generators.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def kernels_for(pixels: float) -> Iterator[None]:
    """Choose the kernels of depthwise convolutions by the `pixels` of all images that the body passes.

    cuDNN compiles some for each new shape, which takes long and pays only if they are used often.
    """
    token = _may_compile.set(pixels >= _FEW_PIXELS)
    try:
        yield
    finally:
        _may_compile.reset(token)


def compiles() -> bool:
    """Whether cuDNN may compile kernels; see `kernels_for`."""
    return _may_compile.get()


@contextmanager
def memory_errors(doing: str) -> Iterator[None]:
    """Turn running out of memory, on a GPU or a CPU, into `TrialMemoryError`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        on_gpu = any(part in str(error) for part in _GPU_MEMORY)
        is_gpu = on_gpu or isinstance(error, torch.OutOfMemoryError)
        if not (is_gpu or isinstance(error, MemoryError) or any(part in str(error) for part in _CPU_MEMORY)):
            raise
        memory = "GPU memory" if is_gpu else "memory"
        raise TrialMemoryError(f"out of {memory} while {doing}") from None
