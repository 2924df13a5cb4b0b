"""Everything about one search that is not a worker: configuration, budget, run folder, results."""

from __future__ import annotations
