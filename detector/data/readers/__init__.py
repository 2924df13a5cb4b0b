"""Readers of detection data in formats other than COCO's, and of ids that are texts."""

from __future__ import annotations
