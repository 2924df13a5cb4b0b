"""What holds for every room: its fixtures, and the signals and threads of the tests."""

from __future__ import annotations

import signal

import pytest
import torch
from stub_task import stub

__all__ = ["pytest_configure", "stub"]


def pytest_configure(config: pytest.Config) -> None:
    """Heed SIGINT, which a suite in a script's background is born to ignore, and with it its children.

    Compute with one thread, as `make test` does: equal seeds give equal bits only then.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
