"""The request for a search, its configuration, and the folder that it leaves behind."""

from __future__ import annotations
