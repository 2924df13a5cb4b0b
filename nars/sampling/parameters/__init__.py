"""The parameters of a plain Optuna study as a domain: learned from its trials, or given as distributions."""

from __future__ import annotations
