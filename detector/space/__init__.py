"""The candidates of a detection search, the spaces that they come from, and their costs in closed form."""

from __future__ import annotations
