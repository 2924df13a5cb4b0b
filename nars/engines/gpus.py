"""GPUs that several workers share.

The kernels of a small network fill a GPU badly, and those of several processes take turns on it, unless they
go through NVIDIA's Multi-Process Service (MPS), which comes with the driver. A search starts one of its own.
Source: https://docs.nvidia.com/deploy/mps/.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping

import psutil

__all__ = ["shared_gpus", "workers_on_gpus"]

logger = logging.getLogger(__name__)

_SERVICE = "nvidia-cuda-mps-control"
"""The program that starts the service and is told to end it."""

_PIPES = "CUDA_MPS_PIPE_DIRECTORY"
"""The variable with the folder in which processes find their service."""

_PIXELS = 2**22
"""Pixels in the steps that train side by side on one GPU, all together.

Through MPS, twelve workers of six searches trained 50 candidates on one H200 in 72 s, in batches of 32 photos
at up to 96 pixels. Source: `experiments/README.md`, gpu_classification."""

_MOST = 8
"""Workers on one GPU, at most."""

_PATIENCE_SECONDS = 20.0
"""Seconds in which the service has to answer."""

_PROBE = (
    "import ctypes; cuda = ctypes.CDLL('libcuda.so.1'); context = ctypes.c_void_p(); "
    "exit(cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))"
)
"""A program that opens the first GPU, without PyTorch, whose import takes seconds."""


def workers_on_gpus(device: str, pixels: int) -> int:
    """Return how many workers are to share the GPUs that `device` names; 0 if a search runs on the CPU.

    `pixels` are those of the largest step of a candidate, all images of its batch together. Large steps have
    a GPU to themselves; so have small ones without MPS, as a GPU would run them one after the other.
    """
    import torch  # which takes seconds that a mistake on the command line need not wait for

    if device not in ("auto", "cuda"):
        gpus = 1 if device.startswith("cuda") else 0
    else:
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus or not _has_service():
        return gpus
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else gpus
    return gpus * max(1, min(_MOST, _PIXELS // pixels, cores // gpus))


@contextlib.contextmanager
def shared_gpus(device: str, workers: int) -> Iterator[Mapping[str, str]]:
    """Let the kernels of `workers` run side by side within the block.

    Yields what has to be in a worker's environment for it: nothing if each worker has a GPU of its own, if
    the user runs the service already, or if there is none that works.
    """
    if not _has_service() or _is_alone(device, workers) or _PIPES in os.environ:
        yield {}
        return
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nars-mps-"))
        variables = {_PIPES: folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        # The service sees all GPUs, so that the numbers of GPUs mean to workers what they mean without it.
        own = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        service = subprocess.Popen(
            [_SERVICE, "-f"],
            env={**own, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stack.callback(_ended, service, variables)
        yield variables if _answers(service, variables) else {}


def _has_service() -> bool:
    return shutil.which(_SERVICE) is not None


def _is_alone(device: str, workers: int) -> bool:
    """Whether each worker has a GPU of its own, or none has any."""
    import torch

    from nars.device import resolve

    if resolve(device).type != "cuda":
        return True
    return workers <= (torch.cuda.device_count() if device in ("auto", "cuda") else 1)


def _answers(service: subprocess.Popen[bytes], variables: Mapping[str, str]) -> bool:
    """Whether a process can open a GPU through the service."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while service.poll() is None and time.monotonic() < end:
        with contextlib.suppress(subprocess.TimeoutExpired):
            probe = subprocess.run(
                [sys.executable, "-c", _PROBE],
                env={**os.environ, **variables},
                capture_output=True,
                timeout=_PATIENCE_SECONDS,
                check=False,
            )
            if probe.returncode == 0:
                return True
        time.sleep(0.2)
    logger.info("NVIDIA's Multi-Process Service does not answer: the workers on a GPU take turns")
    return False


def _ended(service: subprocess.Popen[bytes], variables: Mapping[str, str]) -> None:
    """Stop the service with all processes that it has started."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [_SERVICE], input=b"quit -t 1\n", env={**os.environ, **variables}, timeout=5, check=False
        )
    with contextlib.suppress(subprocess.TimeoutExpired):
        service.wait(5)
        return
    service.kill()
    service.wait()
