"""The command that runs inputs of other people, and the rules that judge what nars says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import cases
from experiments.case_rules import CASES, Case, Outcome

READ = (
    "train: 5 images, 10 boxes, 2 classes (red, blue); COCO\nval: 1 image, 2 boxes, 2 classes (red, blue)\n"
)


def _fault(name: str, code: int, out: str, err: str = "") -> str | None:
    case = CASES[name]
    return case.fault([Outcome(code, out, err)] * len(case.commands))


def test_every_case_has_a_rule_for_each_command() -> None:
    assert len(CASES) == 58
    assert all(len(case.commands) == len(case.rules) > 0 for case in CASES.values())


@pytest.mark.parametrize(
    ("name", "code", "out", "right"),
    [
        ("coco_cvat_default", 0, READ, True),
        ("coco_cvat_default", 2, READ, False),
        ("coco_cvat_default", 0, READ.replace("10 boxes", "9 boxes"), False),
        ("coco_cvat_default", 0, "", False),
        ("yolo_bom", 0, READ.replace("red", "\\ufeffred"), False),
        ("yolo_bom", 0, READ, True),
        ("yolo_windows_paths", 0, READ, False),
    ],
)
def test_rules_tell_right_from_wrong(name: str, code: int, out: str, right: bool) -> None:
    assert (_fault(name, code, out) is None) == right


def test_a_traceback_is_always_wrong() -> None:
    assert _fault("coco_cvat_default", 0, READ, "Traceback (most recent call last)") == "a traceback"


def test_a_case_runs_on_a_copy(tmp_path: Path) -> None:
    for name in ("mine", "_shared"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine" / "a.txt").write_text("here")
    case = Case("K1", ["cat a.txt; echo more > a.txt; exit 3"], [lambda outcome: outcome.out])
    fault, outcomes = cases.run(case, "mine", tmp_path)
    assert (fault, outcomes[0].code) == ("here", 3)
    assert (tmp_path / "mine" / "a.txt").read_text() == "here"


def test_a_folder_without_the_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        cases.main(["--cases", str(tmp_path), "yolo_bom"])
