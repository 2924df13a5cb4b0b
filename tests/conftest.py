"""Fixtures for every room."""

from __future__ import annotations

import signal

import pytest
from stub_task import stub

__all__ = ["pytest_configure", "stub"]


def pytest_configure(config: pytest.Config) -> None:
    """Heed SIGINT, which a suite in a script's background is born to ignore, and with it its children."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
