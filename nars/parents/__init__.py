"""Pretrained parents that a search starts from, and the weights that a candidate inherits from one."""

from __future__ import annotations
