"""Declarations built on `nars`: search spaces and the published networks."""

from __future__ import annotations

from search_spaces.catalogue import published
from search_spaces.spaces import space

__all__ = ["published", "space"]
