"""Networks: from an architecture to PyTorch modules, their weights, latency and exported files."""

from __future__ import annotations
