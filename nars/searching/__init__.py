"""The course of a search: samplers, early stopping, confirmation, results, comparisons."""

from __future__ import annotations
