"""PyTorch networks of architectures, their costs, weights, latency and exported files."""

from __future__ import annotations
