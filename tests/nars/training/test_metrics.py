from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nars.errors import TrialError, UsageError
from nars.training.metrics import METRICS, Metric, check_name, check_repeated, named

MINE = """
def cost(labels, probabilities):
    return -float((probabilities.argmax(1) != labels).mean())

def broken(labels, probabilities):
    rows = len(labels)
    return rows / 0

def fits_nothing(labels):
    return 1.0

def nan(labels, probabilities):
    return float("nan")

def text(labels, probabilities):
    return "0.5"

def several(labels, probabilities):
    return probabilities[0]

def nothing(labels, probabilities):
    pass

def ends(labels, probabilities):
    raise SystemExit

number = 3
"""
LABELS = np.array([0, 1, 2, 2])
PROBABILITIES = np.eye(3)[[0, 1, 1, 2]]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module in the current folder with a name of its own, since modules are imported once."""
    name = f"mine_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    importlib.invalidate_caches()
    return name


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_a_name(name: str) -> None:
    assert named(name) == Metric(name)


def test_a_function_of_the_current_folder_scores(mine: str) -> None:
    metric = named(f"{mine}:cost")
    assert metric.name == f"{mine}:cost"
    assert metric.score(LABELS, PROBABILITIES, "val") == -0.25


def test_a_function_of_a_package_scores() -> None:
    metric = named("sklearn.metrics:log_loss")
    assert metric.score(LABELS, np.full((4, 3), 1 / 3), "val") == pytest.approx(np.log(3))


def test_a_function_of_other_arguments_is_refused_with_its_place(mine: str) -> None:
    place = rf"defined with \(labels\) \(\S+{mine}\.py, line 9\): a metric takes labels .+ probabilities .+"
    with pytest.raises(UsageError, match=f"metric {mine}:fits_nothing is {place}too many positional"):
        named(f"{mine}:fits_nothing")
    with pytest.raises(UsageError, match=r"metric math:sqrt is defined with \(x, /\) \(.*math"):
        named("math:sqrt")


def test_no_file_of_nars_is_named_where_a_compiled_function_fails() -> None:
    with pytest.raises(TrialError, match=r"failed on val: TypeError: [^(]*(\(.*\))?[^(]*$") as caught:
        Metric("builtins:min", min).score(1, 2.0j, "val")
    assert "metrics.py" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("broken", r"metric \S+:broken failed on val: ZeroDivisionError: .+mine_\d+\.py, line 7\)$"),
        ("nan", "metric .+:nan returned nan on val, not a finite number"),
        ("text", "returned 0.5 on val, not a finite number"),
        ("several", "returned array.+ on val, not a finite number"),
        ("ends", "failed on val: SystemExit "),
        ("nothing", "returned None on val, not a finite number"),
    ],
)
def test_a_function_that_returns_no_number_is_named_in_one_line(
    mine: str, function: str, message: str
) -> None:
    with pytest.raises(TrialError, match=message) as caught:
        named(f"{mine}:{function}").score(LABELS, PROBABILITIES, "val")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("costs", r"no function 'costs' in .+mine_\d+\.py: did you mean 'cost'\?"),
        ("number", "number in .+ is not a function"),
    ],
)
def test_a_name_that_is_no_function_is_refused(mine: str, function: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        named(f"{mine}:{function}")


@pytest.mark.parametrize(
    ("number", "content", "message"),
    [
        (0, "import math\nmath.sqrt(-1)", r"ValueError: .+bad_module_0\.py, line 2\)"),
        (1, "x = (", r"SyntaxError: '\(' was never closed \(.+bad_module_1\.py, line 1\)"),
        (2, "\nimport missing_package_of_mine", r"No module named 'missing_package_of_mine' \(.+, line 2\)"),
        (3, "raise SystemExit(3)", r"SystemExit: 3 \(.+line 1\)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_line(
    mine: str, tmp_path: Path, number: int, content: str, message: str
) -> None:
    name = f"bad_module_{number}"
    (tmp_path / f"{name}.py").write_text(content)
    importlib.invalidate_caches()
    with pytest.raises(UsageError, match=f"metric {name}:f: importing {name} failed: .*{message}") as caught:
        named(f"{name}:f")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("balanced_acuracy", "no metric 'balanced_acuracy': did you mean 'balanced_accuracy'?"),
        ("mine.py:cost", "names a file, not a module: did you mean 'mine:cost'?"),
        ("my metrics:cost", "neither a name nor module:function"),
        (":cost", "neither a name nor module:function"),
        ("sys:costs_of_mine", "no function 'costs_of_mine' in sys: did you mean"),
        ("nowhere_at_all:cost", "no module 'nowhere_at_all', neither in "),
    ],
)
def test_a_mistyped_name_is_answered(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        named(name)
    assert message in str(caught.value)


def test_checking_a_name_imports_nothing(mine: str) -> None:
    check_name(f"{mine}:cost")
    assert mine not in sys.modules


def test_a_function_that_only_a_run_names_is_refused() -> None:
    for given in ("accuracy", None):
        check_repeated("accuracy", given, "runs/a")
    check_repeated("mine:cost", "mine:cost", "runs/a")
    with pytest.raises(UsageError, match="runs/a is scored by code, mine:cost: repeat --metric mine:cost"):
        check_repeated("mine:cost", None, "runs/a")
    with pytest.raises(UsageError, match="runs/a is scored by accuracy, got --metric mine:cost"):
        check_repeated("accuracy", "mine:cost", "runs/a")


def test_names_are_checked_without_heavy_imports() -> None:
    code = "import sys; from nars.training.metrics import check_name; check_name('a:b'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "sklearn", "numpy"} & set(done.stdout.split())
