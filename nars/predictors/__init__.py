"""Predicts scores from genotypes: a Gaussian process, and the paper's pretrained networks."""

from __future__ import annotations
