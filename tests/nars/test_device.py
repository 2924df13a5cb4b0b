from __future__ import annotations

import pytest
import torch

from nars.device import compiles, kernels_for, memory_errors, resolve
from nars.errors import TrialMemoryError, UsageError

CPU = torch.device("cpu")


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve("auto") == resolve("cpu") == CPU
    with pytest.raises(UsageError, match=r"device 'cuda': no CUDA device is available here; use cpu"):
        resolve("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert resolve("auto") == resolve("cuda") == torch.device("cuda", 1)
    assert resolve("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(UsageError, match="there are 2 CUDA devices, numbered from 0"):
        resolve("cuda:2")


@pytest.mark.parametrize(
    ("name", "hint"), [("cud", "did you mean 'cuda'"), ("cpu:1", "'cpu'"), ("cuda:x", "cuda")]
)
def test_unknown_devices(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=rf"unknown device '{name}': .*{hint}"):
        resolve(name)


def test_other_errors_are_not_taken_for_memory() -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_errors("testing"):
        raise RuntimeError("wrong shape")


@pytest.mark.parametrize(
    ("error", "which"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "GPU memory"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously"), "GPU memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "GPU memory"),
        (RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory"), "memory"),
        (MemoryError(), "memory"),
    ],
)
def test_whoever_finds_no_memory_is_one_line(error: Exception, which: str) -> None:
    with pytest.raises(TrialMemoryError, match=f"^out of {which} while testing$"), memory_errors("testing"):
        raise error


def test_cudnn_may_compile_for_what_is_long() -> None:
    assert compiles()
    with kernels_for(2650 * 4 * 96**2):
        assert not compiles()
        with kernels_for(50_000 * 90 * 224**2):
            assert compiles()
        assert not compiles()
    assert compiles()
