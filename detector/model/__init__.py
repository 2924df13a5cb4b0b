"""The detector's network: its parts and settings, backbone, proposal network, heads and costs."""

from __future__ import annotations
