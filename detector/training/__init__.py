"""Trains a detector: the loop, data loading and augmentation, hyperparameters, plans and logs."""

from __future__ import annotations
