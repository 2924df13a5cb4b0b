"""Amounts and times as people write them: ``60M``, ``5ms``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nars.errors import UsageError

__all__ = ["AMOUNT", "DURATION", "Quantity"]


@dataclass(frozen=True)
class Quantity:
    """A positive number with a suffix."""

    name: str
    suffixes: Mapping[str, float]
    """Factors by suffix, in small letters."""
    example: str

    def parse(self, text: str) -> float:
        """Return the number that `text` stands for. Raises `UsageError`."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
        if not match or match[2] not in self.suffixes or float(match[1]) <= 0:
            raise UsageError(f"{text[:40]!r} is not a positive {self.name} such as {self.example}")
        return float(match[1]) * self.suffixes[match[2]]


AMOUNT = Quantity("amount", {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}, "60M or 400k")
"""A count such as ``60M``."""

DURATION = Quantity("duration", {"us": 1e-6, "ms": 1e-3, "s": 1.0}, "5ms")
"""A time such as ``5ms``, in seconds."""
