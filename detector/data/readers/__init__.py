"""Readers of detection data in COCO's and other formats, and of ids that are texts."""

from __future__ import annotations
