"""One HTML file about a search: pictures, insights, tables."""

from __future__ import annotations
