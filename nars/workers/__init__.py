"""Workers, which ask, train and tell; how one of them joins a search, and what becomes of its trials."""

from __future__ import annotations
