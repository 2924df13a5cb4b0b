"""Detection data: reading COCO, VOC and YOLO, checking and mending it, the embedded scenes."""

from __future__ import annotations
