"""Uses a trained detector: prediction, drawing, exported and quantized files."""

from __future__ import annotations
