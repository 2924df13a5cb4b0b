"""The public names of the package: those that type checkers see are those that can be imported."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import detector


def test_type_checkers_see_the_names_that_are_imported_late() -> None:
    tree = ast.parse(Path(detector.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {alias.asname: node.module for node in imports for alias in node.names} == detector._MODULES
    assert {*detector.__all__} <= {*dir(detector)}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        detector.nonsense  # noqa: B018
