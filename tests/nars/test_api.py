"""The arguments of `nars.search`: what is refused, and settings as text."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from stub_task import StubTask, config

import nars
from nars.errors import RunError, SpecError, UsageError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workers": 0}, "workers is a number of processes from 1, or None, got 0"),
        ({"workers": "2"}, "workers is a number of processes"),
        ({"run": 3}, "run is the path of a folder, got 3"),
        ({"storage": 3}, "storage is an Optuna storage URL as text, got 3"),
        ({"artifacts": 3}, "artifacts is a folder or s3://..., got 3"),
        ({"engine": "ray"}, "engine is one of nars.engines, such as nars.engines.local.Local.., got 'ray'"),
        ({"watch": 3}, "watch is a function of the study, got 3"),
        ({"request": "photos/"}, "takes its settings by name, such as data=..., got 'photos/'"),
        ({"request": config("3"), "metric": "auroc"}, "search is scored by accuracy, got --metric auroc"),
        ({"request": config("3"), "budget": 4}, "takes no further settings, got budget"),
    ],
)
def test_arguments_of_another_kind_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        nars.search(**given)


def test_an_unknown_name_is_answered_with_all_that_search_takes() -> None:
    with pytest.raises(SpecError, match="unknown key 'qqq' of search: valid: ") as raised:
        nars.search(qqq=True)
    valid = set(str(raised.value).partition("valid: ")[2].split(", "))
    own = {"artifacts", "engine", "finish", "request", "run", "storage", "watch", "workers"}
    assert valid == own | nars.SearchRequest.model_fields.keys()
    with pytest.raises(SpecError, match=r"'worker' of search: did you mean 'workers'.* valid: artifacts, "):
        nars.search(nars.SearchRequest(), worker=2)
    with pytest.raises(SpecError, match=r"'dry_run' of search: .* valid: .*, finish, .*, run, .*, workers$"):
        nars.search(dry_run=True)


def test_a_mistyped_storage_leaves_no_run_folder(stub: type[StubTask], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot open storage"):
        nars.search(config("3"), tmp_path / "run", "sqlite:///nosuch/folder/q.db")
    assert not (tmp_path / "run").exists()


def test_who_stops_a_search_without_its_storage_does_not_wait_for_that(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        shutil.rmtree(tmp_path / "run")
        raise KeyboardInterrupt

    monkeypatch.setattr("nars.api.work", interrupted)
    monkeypatch.setattr("nars.runs.outage.time.sleep", lambda seconds: pytest.fail("it waits"))
    with pytest.raises(KeyboardInterrupt):
        nars.search(config("3"), tmp_path / "run")


def test_a_search_beside_another_says_so_and_joins(
    stub: type[StubTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    nars.search(config("2"), run)
    assert "another search" not in caplog.text
    with FileLock(run / ".search"):
        result = nars.search(config("3"), run)
    assert caplog.text.count(f"{run}: another search works on it; this one joins in until the budget") == 1
    assert len(result.study.trials) == 3


def test_settings_may_be_text_as_on_the_command_line() -> None:
    request = nars.SearchRequest(objectives="accuracy, macs", fix="recipe=r.yaml", warm_start=Path("run"))
    assert (request.objectives, request.fix) == (("accuracy", "macs"), ("recipe=r.yaml",))
    assert request.warm_start == (Path("run"),)
    limited = nars.SearchRequest(max_macs="8M", max_params="400k", max_latency="5 ms")
    assert limited.limits == {"macs": 8e6, "params": 4e5, "latency": pytest.approx(5e-3)}
    assert nars.SearchRequest(max_macs="3000000") == nars.SearchRequest(max_macs=3e6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_macs": "8X"}, "max_macs: '8X' is not a positive amount such as 60M or 400k"),
        ({"max_params": "0"}, "max_params: '0' is not a positive amount"),
        ({"max_latency": "5"}, "max_latency: '5' is not a positive duration such as 5ms"),
    ],
)
def test_a_limit_that_cannot_be_read_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        nars.SearchRequest(**given)
