"""Reads what other programs and systems wrote: text, numbers, names of files and values of YAML and JSON."""

from __future__ import annotations
