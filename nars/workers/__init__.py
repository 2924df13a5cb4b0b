"""Workers ask, train and tell; what starts, supervises and replaces them."""

from __future__ import annotations
