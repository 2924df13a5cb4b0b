"""The private parts of Optuna that nars uses: this file fails loudly if a release changes one."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from nars.internals import (
    all_trials,
    hypervolume,
    non_domination_ranks,
    note_constraints,
    set_study_attribute,
    set_trial_attribute,
    study_attribute,
    uploads,
)

ROOT = Path(__file__).parents[2]
LIBRARIES = {"optuna", "torch", "torchvision", "sklearn", "numpy", "pandas", "click", "pydantic", "scipy"}


def test_an_attribute_of_a_trial_that_another_process_asked_for() -> None:
    study = optuna.create_study()
    study.ask()
    set_trial_attribute(study, study.trials[0], "worker", "me")
    assert study.trials[0].user_attrs == {"worker": "me"}


def test_the_files_of_a_trial_are_known_before_they_are_whole(tmp_path: Path) -> None:
    study = optuna.create_study()
    trial = study.ask()
    (tmp_path / "file").touch()
    store = optuna.artifacts.FileSystemArtifactStore(tmp_path)
    name = optuna.artifacts.upload_artifact(
        artifact_store=store, file_path=str(tmp_path / "file"), study_or_trial=trial
    )
    assert uploads(study.trials[0]) == [name]


def test_a_study_of_one_bracket_hides_neither_trials_nor_attributes() -> None:
    study = optuna.create_study()
    study.ask()
    set_study_attribute(study, "seed", 3)
    assert study.user_attrs == {"seed": 3}
    assert study_attribute(study, "seed") == 3
    assert study_attribute(study, "other") is None
    assert [trial.number for trial in all_trials(study)] == [0]


def test_constraints_of_a_function() -> None:
    study = optuna.create_study()
    study.ask()
    note_constraints(lambda trial: (1.0, -2.0), study, study.trials[0], TrialState.COMPLETE)
    assert study.trials[0].constraints == {"0": 1.0, "1": -2.0}


def test_hypervolume() -> None:
    losses = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 2.0]])
    assert hypervolume(losses, np.array([3.0, 3.0])) == pytest.approx(5.0)
    assert hypervolume(np.array([[0.25]]), np.array([1.0])) == pytest.approx(0.75)


def test_ranks() -> None:
    losses = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    assert non_domination_ranks(losses, 4).tolist() == [0, 0, 1, 2]


def _private_imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        for module in modules:
            first, *rest = module.split(".")
            if first in LIBRARIES and any(part.startswith("_") for part in rest):
                found.append(f"{path.name}: {module}")
        # storage and numbers of Optuna's objects, and private functions of torch
        if isinstance(node, ast.Attribute) and (
            node.attr in {"_storage", "_trial_id", "_study_id", "_cached_frozen_trial", "_contains"}
            or node.attr.startswith("_foreach")
        ):
            found.append(f"{path.name}: .{node.attr}")
    return found


def test_nothing_else_uses_private_names_of_libraries() -> None:
    files = [
        file
        for package in ("nars", "detector", "search_spaces", "experiments")
        for file in sorted((ROOT / package).rglob("*.py"))
        if file.name != "internals.py"
    ]
    assert len(files) > 100
    assert [use for file in files for use in _private_imports(file)] == []
