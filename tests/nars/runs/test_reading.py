from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage
from studies import config, space

from nars.errors import RunError
from nars.runs import reading
from nars.runs import run as runs
from nars.runs.run import open_run, start_run
from nars.runs.storage import JournalLock
from nars.space import genotypes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "first"
    study = start_run(folder, config(), None).study()
    for value in (0.5, 0.6, 0.7):
        study.add_trial(optuna.create_trial(value=value))
    return folder


def _snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def _contents(folder: Path) -> dict[str, bytes]:
    return {file: content for file, (content, _) in _snapshot(folder).items()}


def test_a_run_is_read_without_a_lock_and_nothing_is_written(folder: Path) -> None:
    for file in folder.glob("*lock"):
        file.unlink()
    before = _snapshot(folder)
    with JournalLock(folder / "study.journal")._lock:  # another search writes
        assert [trial.value for trial in open_run(folder).read().trials] == [0.5, 0.6, 0.7]
    (folder / "study.journal.flock").unlink()
    assert _snapshot(folder) == before


def test_what_is_read_cannot_be_written(folder: Path) -> None:
    with pytest.raises(RunError, match="opened to read"):
        open_run(folder).read().add_trial(optuna.create_trial(value=1.0))


def test_a_line_that_is_cut_off_is_left_out_and_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = folder / "study.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    assert len(open_run(folder).read().trials) == 2
    assert "is cut off: read without it" in caplog.text
    assert journal.read_bytes() == whole[:-20]


def _no_json(lines: list[bytes]) -> None:
    lines[3] = b"\0\0\0\n"


def _no_object(lines: list[bytes]) -> None:
    lines[3] = b"[1]\n"


def _other_types(lines: list[bytes]) -> None:
    fields = json.loads(lines[-1])
    lines[-1] = json.dumps(fields | {"study_id": {"a": 1}, "op_code": 4}).encode() + b"\n"


def _no_such_code(lines: list[bytes]) -> None:
    lines[3] = b'{"op_code": 999, "worker_id": "x"}\n'


def _no_code(lines: list[bytes]) -> None:
    lines[1] = json.dumps(json.loads(lines[1]) | {"op_code": True}).encode() + b"\n"


def _unknown_study(lines: list[bytes]) -> None:
    fields = json.loads(lines[-1])
    assert fields["op_code"] == 4
    lines[-1] = json.dumps(fields | {"study_id": 7}).encode() + b"\n"


def _unknown_trial(lines: list[bytes]) -> None:
    lines.insert(-1, b'{"op_code": 6, "worker_id": "x", "trial_id": 2, "state": 1, "values": [0.5]}\n')


@pytest.mark.parametrize(
    "damage",
    [_no_json, _no_object, _other_types, _no_such_code, _no_code, _unknown_study, _unknown_trial],
)
def test_a_journal_that_is_damaged_is_one_line(folder: Path, damage: object) -> None:
    assert callable(damage)
    journal = folder / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    damage(lines)
    journal.write_bytes(b"".join(lines))
    with pytest.raises(RunError, match=r"study\.journal.* damaged") as raised:
        open_run(folder).read()
    assert "\n" not in str(raised.value)
    before = _contents(folder)
    with pytest.raises(RunError, match=r"study\.journal.* damaged"):
        start_run(folder, config(100), None).study()
    assert _contents(folder) == before


def test_a_larger_budget_is_written_down_if_the_search_continues(folder: Path) -> None:
    larger = config(100)
    assert open_run(folder).config != larger
    start_run(folder, larger, None).study()
    assert open_run(folder).config == larger


def test_trials_that_are_gone_are_missed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "trials.csv").write_text("trial\n" + "0\n" * 5)
    open_run(folder).read()
    assert "lists 5 trials, the study has 3" in caplog.text
    journal = folder / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if json.loads(line)["op_code"] < 4))
    with pytest.raises(RunError, match=r"has no trial, but trials\.csv lists 5"):
        open_run(folder).read()


def test_nothing_is_missed_if_the_search_goes_on_while_it_is_read(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(storage: str) -> BaseStorage:
        snapshot = reading.open_to_read(storage)
        (folder / "trials.csv").write_text("trial,state\n" + "0,complete\n" * 4)
        return snapshot

    monkeypatch.setattr(runs, "open_to_read", opened)
    assert len(open_run(folder).read().trials) == 3
    assert not caplog.text


def test_trials_that_are_no_longer_finished_are_missed_also_if_the_search_continues(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study = start_run(tmp_path / "first", config(), None).study()
    study.tell(study.ask(), 0.5)
    (tmp_path / "first" / "trials.csv").write_text("trial,state\n0,complete\n")
    journal = tmp_path / "first" / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["op_code"] == 6
    journal.write_bytes(b"".join(lines[:-1]))
    open_run(tmp_path / "first").read()
    assert "trial 0 as finished, which it is no more" in caplog.text
    caplog.clear()
    start_run(tmp_path / "first", config(), None).study()
    assert "trial 0 as finished, which it is no more" in caplog.text


_PARAMS = dict(
    next(iter(genotypes.to_genotypes(space(), genotypes.sample(space(), 1, np.random.default_rng(0)))))
)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"values": [0.5, 1.0]}, "values"),
        ({"values": [True]}, "values"),
        ({"values": [10**400]}, "values"),
        ({"values": None}, "values"),
        ({"user_attrs": 1}, "user_attrs"),
        ({"system_attrs": []}, "system_attrs"),
        ({"user_attrs": {"seconds": 10**400}}, "seconds"),
        ({"intermediate_values": {"0": "x"}}, "intermediate_values"),
        ({"params": {"recipe.lr": 1e9}}, r"params\.recipe\.lr"),
        ({"params": {"stem.channels": -8}}, r"params\.stem\.channels"),
        ({"params": None}, r"params\.resolution is missing"),
    ],
)
def test_a_damaged_trial_is_one_line_that_names_the_field(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    study = start_run(tmp_path / "first", config(), None).study()
    study.add_trial(optuna.create_trial(value=0.5, params=_PARAMS, distributions=space().distributions))
    journal = tmp_path / "first" / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    fields = json.loads(lines[-1])
    if "params" in changes:
        given = changes["params"]
        assert isinstance(given, dict | None)
        fields["params"] = {**fields["params"], **given} if given else {"recipe.lr": 0.1}
    else:
        fields |= changes | ({"value": None} if "values" in changes else {})
    journal.write_bytes(b"".join(lines[:-1]) + json.dumps(fields).encode() + b"\n")
    with pytest.raises(RunError, match=named) as raised:
        open_run(tmp_path / "first").read()
    assert "first" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_trial_outside_of_the_configured_space_is_one_line(tmp_path: Path) -> None:
    others = [name for name in ("sgd", "rmsprop", "adamw") if name != _PARAMS["recipe.optimizer"]]
    narrow = space().replace(recipe={**space().recipe, "optimizer": others})
    study = start_run(tmp_path / "first", config().replace(space=narrow), None).study()
    study.add_trial(optuna.create_trial(value=0.5, params=_PARAMS, distributions=space().distributions))
    with pytest.raises(RunError, match=r"params\.recipe\.optimizer is damaged: it is outside of its range"):
        open_run(tmp_path / "first").read()


def test_a_study_whose_config_is_no_text_is_one_line(folder: Path) -> None:
    journal = folder / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"config"' in line)
    lines[at] = json.dumps(json.loads(lines[at]) | {"user_attr": {"config": 1.5}}).encode() + b"\n"
    journal.write_bytes(b"".join(lines))
    with pytest.raises(RunError, match="its config is no text"):
        open_run(folder).read()


def test_a_journal_without_the_study_says_so(folder: Path) -> None:
    (folder / "study.journal").write_bytes(b"")
    with pytest.raises(RunError, match="has no study 'first'"):
        open_run(folder).read()


def test_a_pipe_is_no_journal(folder: Path) -> None:
    (folder / "study.journal").unlink()
    os.mkfifo(folder / "study.journal")
    with pytest.raises(RunError, match="is a pipe, no regular file"):
        open_run(folder).read()


@pytest.mark.parametrize("content", [b"\x80\x81", b"a\nb\nc\nd\n", b"a\0\nb\n", b"x" * 20_000])
def test_a_storage_file_of_other_content_is_refused(folder: Path, content: bytes) -> None:
    (folder / "storage.txt").write_bytes(content)
    with pytest.raises(RunError, match=r"storage\.txt"):
        open_run(folder)


def test_a_database_elsewhere_is_opened_only_if_it_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    start_run(tmp_path / "a", config(), url).study().add_trial(optuna.create_trial(value=0.5))
    before = (tmp_path / "shared.db").read_bytes()
    with pytest.raises(RunError, match="repeat --storage sqlite"):
        open_run(tmp_path / "a").read()
    assert len(open_run(tmp_path / "a", url).read().trials) == 1
    assert (tmp_path / "shared.db").read_bytes() == before
    with pytest.raises(RunError, match="is stored in"):
        open_run(tmp_path / "a", "sqlite:///other.db")


def test_a_space_with_a_path_for_a_name_makes_no_folder_elsewhere() -> None:
    from nars.runs.run import RUNS, default_folder

    made = config()
    named = made.replace(space=made.space.replace(name="../../up\n"))
    assert default_folder(named).parent == RUNS
    assert default_folder(named).name.startswith("_.._up_")
