"""The floor plan: who may import whom, and what stays light."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = {
    "nars": [
        "errors internals",
        "foreign",
        "trials",
        "studies documents files device graphs",
        "spec parallel",
        "data space tensors artifacts",
        "training networks predictors",
        "parents deploy",
        "sampling tasks",
        "runs",
        "searching",
        "workers report",
        "engines",
        "api",
        "cli",
        "__main__",
    ],
    "detector": [
        "data model",
        "weights evaluation",
        "assembly",
        "training deploy",
        "space",
        "cli task",
    ],
    "search_spaces": ["catalogue choice spaces"],
}
"""Floors of each package, the lowest first: a room imports only from the floors below its own."""

ALLOWED = {
    "experiments": {"nars", "search_spaces", "detector"},
    "search_spaces": {"nars"},
    "detector": {"nars"},
}
"""Packages that another may import anywhere in its modules."""

LARGEST_FOLDER = 15
"""Most modules in a folder, `__init__` left out."""


def _files(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    return files


def _name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _modules() -> dict[str, Path]:
    return {_name(file): file for package in FLOORS for file in _files(package)}


def _imports(file: Path, *, late: bool = True) -> Iterator[str]:
    """Modules of the project that a module imports: at its top or for types only, and `late` in functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom) and node.col_offset and not late:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in _modules())
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            if node.module in _modules() or node.module.partition(".")[0] in FLOORS:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in _modules() else node.module


def _room(module: str) -> tuple[int, str] | None:
    """Floor and room of a module; None of a package itself, which only lists its public names."""
    package, _, rest = module.partition(".")
    if not rest:
        return None
    room = rest.partition(".")[0]
    floors = [at for at, rooms in enumerate(FLOORS[package]) if room in rooms.split()]
    assert len(floors) == 1, f"{module}: the room {room} is on {len(floors)} floors of the plan"
    return floors[0], room


@pytest.mark.parametrize("package", FLOORS)
def test_no_import_runs_up_or_along_a_floor(package: str) -> None:
    wrong = []
    for module, file in _modules().items():
        here = _room(module) if module.startswith(f"{package}.") else None
        for other in _imports(file) if here else ():
            there = _room(other) if other.partition(".")[0] == package else None
            if there and here and there[1] != here[1] and there[0] >= here[0]:
                wrong.append(f"{module} (floor {here[0]}) imports {other} (floor {there[0]})")
    assert wrong == []


def test_no_module_imports_itself_in_a_circle() -> None:
    arrows = {
        module: {other for other in _imports(file) if other != module and _room(other)}
        for module, file in _modules().items()
    }
    left = dict(arrows)
    while free := [module for module, others in left.items() if not others & left.keys()]:
        for module in free:
            del left[module]
    assert sorted(left) == []


def _resolves_late(file: Path) -> bool:
    """Whether a module is of the command line, whose functions may ask for what stands on top of nars."""
    return file.is_relative_to(ROOT / "nars" / "cli")


@pytest.mark.parametrize("package", ["nars", *ALLOWED])
def test_packages_import_only_along_the_arrows(package: str) -> None:
    forbidden = {*FLOORS, "experiments", "tests"} - {package, *ALLOWED.get(package, ())}
    wrong = {
        str(file.relative_to(ROOT)): bad
        for file in _files(package)
        if (
            bad := {name.partition(".")[0] for name in _imports(file, late=not _resolves_late(file))}
            & forbidden
        )
    }
    assert wrong == {}


def test_two_modules_spell_the_keys_of_user_attributes() -> None:
    uses = re.compile(r"user_attrs[.\[]|\.set_user_attr\(")
    users = {file.stem for file in _files("nars") if uses.search(file.read_text())}
    assert users == {"trials", "studies"}


def test_every_folder_can_be_taken_in_at_a_glance() -> None:
    folders = {file.parent for file in _modules().values()}
    sizes = {folder: sum(file.stem != "__init__" for file in folder.glob("*.py")) for folder in folders}
    crowded = {str(folder): size for folder, size in sizes.items() if size > LARGEST_FOLDER}
    assert crowded == {}


def test_importing_every_module_hides_no_public_name() -> None:
    """Importing ``package.name`` binds the module to ``name``, even over a function of that name."""
    for module in _modules():
        if not module.endswith("__main__"):
            importlib.import_module(module)
    for package in FLOORS:
        for name in importlib.import_module(package).__all__:
            assert (
                not inspect.ismodule(getattr(importlib.import_module(package), name)) or name == "genotypes"
            )


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_descriptions_import_no_torch() -> None:
    names = [name for name in _modules() if name.startswith("nars.space.")]
    names += [
        "nars.errors",
        "nars.spec",
        "nars.files",
        "nars.trials",
        "nars.studies",
        "nars.sampling.sampler",
        "search_spaces",
    ]
    loaded = _modules_after("\n".join(f"import {name}" for name in names))
    assert "pydantic" in loaded
    assert "torch" not in loaded


def test_help_imports_nothing_heavy() -> None:
    loaded = _modules_after("from nars.cli import main\nmain(['--help'])")
    assert "click" in loaded
    assert not loaded & {"torch", "optuna", "numpy", "pandas", "pydantic", "rich"}


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert set(settings["packages"]["find"]["include"]) == {f"{package}*" for package in FLOORS}
    folders = {file.parent for file in _modules().values()}
    assert all((folder / "__init__.py").exists() for folder in folders)
