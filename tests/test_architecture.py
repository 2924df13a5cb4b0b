"""The arrows of the design: who may import whom, and what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SIBLINGS = {
    "nars": {"search_spaces", "detector"},
    "search_spaces": {"detector"},
    "detector": {"search_spaces"},
}
DESCRIPTIONS = ["budget", "cost", "errors", "files", "genotypes", "space", "spec", "values", "widths"]
"""Modules of nars that describe candidates: no torch, not even through another module."""


def _top_level_imports(path: Path) -> set[str]:
    """Packages imported when the module is, ``if TYPE_CHECKING`` left out."""
    found: set[str] = set()
    nodes: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            nodes += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            nodes += [*node.body, *node.orelse, *node.finalbody, *(s for h in node.handlers for s in h.body)]
    return found


@pytest.mark.parametrize("package", SIBLINGS)
def test_packages_import_only_along_the_arrows(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    forbidden = SIBLINGS[package] | {"experiments", "tests"}
    wrong = {str(file): bad for file in files if (bad := _top_level_imports(file) & forbidden)}
    assert not wrong


@pytest.mark.parametrize("package", ["search_spaces", "detector"])
def test_siblings_never_import_each_other_anywhere(package: str) -> None:
    other = next(iter(SIBLINGS[package]))
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == other for name in names), file


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_descriptions_import_no_torch() -> None:
    loaded = _modules_after(
        "\n".join(f"import nars.{name}" for name in DESCRIPTIONS) + "\nimport search_spaces"
    )
    assert "pydantic" in loaded
    assert "torch" not in loaded


def test_help_imports_nothing_heavy() -> None:
    loaded = _modules_after("from nars.cli import main\nmain(['--help'])")
    assert "click" in loaded
    assert not loaded & {"torch", "optuna", "numpy", "pandas", "pydantic", "rich"}


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {
        str(file.parent.relative_to(ROOT)).replace("/", ".")
        for package in SIBLINGS
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert set(settings["packages"]) == found
