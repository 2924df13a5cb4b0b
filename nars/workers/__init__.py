"""Workers, which ask, train and tell; how they are started, supervised and replaced."""

from __future__ import annotations
