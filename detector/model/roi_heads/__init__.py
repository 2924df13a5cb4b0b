"""The heads of the detector: regions are pooled, networks are applied to them, and detections are chosen."""

from __future__ import annotations
