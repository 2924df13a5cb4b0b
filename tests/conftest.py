"""Fixtures for every room."""

from __future__ import annotations

from stub_task import stub

__all__ = ["stub"]
