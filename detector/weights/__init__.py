"""Weights of detectors: checkpoints of others and our own, and what is published."""

from __future__ import annotations
