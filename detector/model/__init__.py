"""The detector's network: parts, settings, backbone, proposals, heads, costs."""

from __future__ import annotations
