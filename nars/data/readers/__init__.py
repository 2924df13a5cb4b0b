"""Readers of image data that lie in folders, tables, and data sets of other packages."""

from __future__ import annotations
