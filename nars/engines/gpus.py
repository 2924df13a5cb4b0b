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
from pathlib import Path

import psutil

from nars.engines.assignment import THREADS, last_error
from nars.runs.config import SearchConfig

__all__ = ["shared_gpus", "workers_on_gpus"]

logger = logging.getLogger(__name__)

_SERVICE = "nvidia-cuda-mps-control"
"""The program that starts the service and is told to end it."""

_PIPES = "CUDA_MPS_PIPE_DIRECTORY"
"""The variable with the folder in which processes find their service."""

_MOST = 16
"""Workers on one GPU, at most."""

_STREAMS = {"CUDA_DEVICE_MAX_CONNECTIONS": "32"}
"""Lets more than eight streams of one process run side by side.
Source: https://docs.nvidia.com/cuda/cuda-programming-guide/, environment variables."""

_MEASURING_SECONDS = 180.0
"""Seconds in which a process has to say how many workers share a GPU."""

_PATIENCE_SECONDS = 20.0
"""Seconds in which the service has to answer."""

_PROBE = (
    "import ctypes; cuda = ctypes.CDLL('libcuda.so.1'); context = ctypes.c_void_p(); "
    "exit(cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))"
)
"""A program that opens the first GPU, without PyTorch, whose import takes seconds."""


def workers_on_gpus(config: SearchConfig) -> int:
    """Return how many workers are to share the GPUs that a search runs on; 0 if it runs on the CPU.

    As many share one as train faster together, which is measured (`nars.workers.neighbours`). Without MPS
    each has one to itself, as a GPU would run their kernels one after the other.
    """
    import torch  # which takes seconds that a mistake on the command line need not wait for

    if config.device not in ("auto", "cuda"):
        gpus = 1 if config.device.startswith("cuda") else 0
    else:
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus or not _has_service():
        return gpus
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else gpus
    most = min(_MOST, cores // gpus)
    return gpus * (_measured(config, most) if most > 1 else 1)


def _measured(config: SearchConfig, most: int) -> int:
    """The number of workers on one GPU, from a process that measures it; 1 if it fails or hangs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "search.yaml"
        file.write_text(config.to_yaml(), encoding="utf-8")
        try:
            measured = subprocess.run(
                [sys.executable, "-m", "nars.workers.neighbours", str(file), str(most)],
                env={**os.environ, **THREADS, **_STREAMS},
                capture_output=True,
                text=True,
                timeout=_MEASURING_SECONDS,
                check=True,
            )
            workers = int(measured.stdout.split()[-1])
        except (subprocess.SubprocessError, ValueError, IndexError) as error:
            logger.warning(
                "one worker per GPU (--workers N sets another number), as what a candidate leaves unused "
                "could not be measured: %s",
                last_error(getattr(error, "stderr", None) or "") or error,
            )
            return 1
    logger.info("%d workers on a GPU: so many candidates train faster than fewer do", workers)
    return workers


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
                logger.info("workers share the GPU through NVIDIA's Multi-Process Service")
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
