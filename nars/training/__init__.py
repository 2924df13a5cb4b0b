"""Trains one classifier: the loop, the parts that a recipe chooses, evaluation, checkpoints."""

from __future__ import annotations
