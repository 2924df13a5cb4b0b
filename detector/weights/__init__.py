"""Weights of detectors: third-party and our own checkpoints, and the published ones by name."""

from __future__ import annotations
