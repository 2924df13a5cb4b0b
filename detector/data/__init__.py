"""Reads, checks and mends detection data in COCO's, VOC's and YOLO's formats; makes `digit-scenes`."""

from __future__ import annotations
