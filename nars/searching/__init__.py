"""Everything about a search but its workers: configuration, budget, run folder, results."""

from __future__ import annotations
