"""The report of a search as one HTML file: pictures, insights, tables."""

from __future__ import annotations
