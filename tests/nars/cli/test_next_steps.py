"""Printed next steps are whole, quoted commands, and names are printed as they are."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from rich.table import Table
from stub_task import TINY, config

from nars.cli import main
from nars.cli.console import plain_console
from nars.cli.next_steps import next_steps


def test_they_name_data_parent_and_metric() -> None:
    search = config(data="my photos", init="w.pt", objectives=("macro_f1",), task="classification")
    export, train = next_steps(
        search, Path("a run"), Path("a run/best.yaml"), Path("a run/weights/reference.pt")
    )
    assert shlex.split(export) == ["nars", "export", "best-arch", "--run", "a run"]
    assert shlex.split(train) == [
        *("nars", "train", "a run/best.yaml", "--data", "my photos"),
        *("--init", "a run/weights/reference.pt", "--metric", "macro_f1", "-o", "trained"),
    ]


def test_they_allow_what_the_search_was_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARS_ALSO_FROM", str(tmp_path))
    _, train = next_steps(config(task="classification"), Path("r"), Path("r/best.yaml"), "none")
    assert f" --also-from {tmp_path} " in train


def test_a_search_for_ap_goes_on_with_a_detector() -> None:
    search = config(data="scenes", objectives=("ap",), task="detection", drop_bad=True)
    _, train = next_steps(search, Path("r"), Path("r/best.yaml"), "none")
    assert train == "nars detect train r/best.yaml --data scenes --drop-bad -o detector"


def test_what_a_search_prints_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my space.yaml").write_text(TINY)
    command = ["search", "--space", "my space.yaml", "--budget", "1", "--workers", "1", "--run", "a run"]
    assert main([*command, "--init", "none", "--storage", "sqlite:///my trials.db"]) == 0
    lines = capsys.readouterr().out.splitlines()
    steps = [line.removeprefix("next: ") for line in lines if line.startswith("next: ")]
    assert len(steps) == 2
    export, train = map(shlex.split, steps)
    assert main(export[1:]) == 0
    assert "kind: candidate" in capsys.readouterr().out
    assert main([*train[1:], "--epochs", "1", "-o", "full"]) == 0
    assert (tmp_path / "full" / "weights" / "best.pt").exists()


def test_names_with_brackets_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console = plain_console(soft_wrap=True)
    table = Table("class [x]", title="[bold]")
    table.add_row("sedan [red]")
    table.add_row("[/van] :car:")
    console.print(table)
    console.print("runs/[a]")
    printed = capsys.readouterr().out
    for name in ("class [x]", "[bold]", "sedan [red]", "[/van] :car:", "runs/[a]"):
        assert name in printed
