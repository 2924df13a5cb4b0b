"""Where a search starts from: pretrained parents, and what a candidate inherits from one."""

from __future__ import annotations
