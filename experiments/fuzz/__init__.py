"""Hostile members of every kind of file that nars reads, and what reading them must not do.

Run with: python -m experiments.fuzz --examples 2000
"""

from __future__ import annotations
