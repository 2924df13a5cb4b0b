"""The options of commands: made from the fields of values, shared by commands, read from text."""

from __future__ import annotations
