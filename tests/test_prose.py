"""Docstrings open with a subject or an imperative."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

OPENINGS = {"Of", "Where", "Which", "What", "From", "But"}
"""First words of fragments that a reader has to complete."""


def _docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """Every docstring of a module, those of attributes and constants included, with its line."""
    for node in ast.walk(ast.parse(file.read_text())):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value


def test_no_docstring_opens_with_a_fragment() -> None:
    packages = ("nars", "detector", "search_spaces", "experiments")
    files = [file for package in packages for file in sorted((ROOT / package).rglob("*.py"))]
    texts = [(f"{file.name}:{line}", text) for file in files for line, text in _docstrings(file)]
    assert len(texts) > 1000
    assert [(place, text) for place, text in texts if text.split()[0] in OPENINGS] == []
