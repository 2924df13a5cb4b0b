"""Measures a detector: COCO's AP, figures, latency."""

from __future__ import annotations
