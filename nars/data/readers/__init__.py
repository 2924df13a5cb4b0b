"""Readers of image data: folders, tables, and data sets of other packages."""

from __future__ import annotations
