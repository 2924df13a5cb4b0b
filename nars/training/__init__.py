"""Trains one classifier: the loop, what a recipe means, evaluation, checkpoints."""

from __future__ import annotations
