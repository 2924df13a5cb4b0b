"""Trains a detector: the loop and its state, data loading, plans and hyperparameters."""

from __future__ import annotations
