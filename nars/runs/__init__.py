"""A search as its user asks for it, as it is configured, and as the folder that it leaves behind."""

from __future__ import annotations
