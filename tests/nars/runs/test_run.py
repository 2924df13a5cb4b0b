"""Run folders: made, found again, moved, and refused if they hold another search."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import optuna
import pytest
from stub_task import config

from nars.errors import RunError, UsageError
from nars.files import write_whole
from nars.runs import run as runs
from nars.runs.run import config_of, latest, open_run, start_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "first"


def test_a_new_run_holds_what_continues_it(folder: Path) -> None:
    made = start_run(folder, config(), None)
    assert made.storage == str(folder / "study.journal")
    assert open_run(folder) == made
    study = made.study()
    assert (study.study_name, config_of(study)) == ("first", config())
    assert study.metric_names == ["accuracy"]
    assert sorted(file.name for file in folder.iterdir() if not file.name.endswith("lock")) == [
        "config.yaml",
        "storage.txt",
        "study.journal",
    ]


def test_the_same_command_goes_on_and_may_go_further(folder: Path) -> None:
    start_run(folder, config("12"), None).study().add_trial(optuna.create_trial(value=0.5))
    again = start_run(folder, config("20"), None)
    assert len(again.study().trials) == 1
    assert open_run(folder).config.budget == "20"
    assert config_of(again.study()).budget == "20"


def test_another_search_is_refused_and_nothing_is_touched(folder: Path) -> None:
    start_run(folder, config(), None).study()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(RunError, match="first holds another search: seed was 0, now 1"):
        start_run(folder, config(seed=1), None)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_other_files_are_not_written_beside(folder: Path) -> None:
    folder.mkdir()
    (folder / "holiday.jpg").touch()
    with pytest.raises(RunError, match="first is not empty and holds no search"):
        start_run(folder, config(), None)
    assert [file.name for file in folder.iterdir()] == ["holiday.jpg"]
    with pytest.raises(RunError, match=r"first is no run folder: it has no config\.yaml"):
        open_run(folder)


@pytest.mark.parametrize(
    "left", [[], ["storage.txt"], [".storage.txt.12.ab"], ["storage.txt", ".config.yaml.1.c"]]
)
def test_a_run_killed_while_it_began_begins_again(folder: Path, left: list[str]) -> None:
    folder.mkdir()
    for name in left:
        (folder / name).write_text("sqlite:///of-the-killed.db")
    assert start_run(folder, config(), None).storage == str(folder / "study.journal")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping"),
        ("kind: search\nschema: 1\nspace: {", "not YAML"),
        ("kind: recipe\nschema: 1\n", "kind is 'recipe', expected 'search'"),
        ("schema 0", "schema is 0, this version reads 1"),
        ("schema 99", "schema is 99, this version reads 1"),
        ("half", "searchconfig"),
        ("\x00\xff", "config.yaml"),
    ],
)
def test_a_config_that_is_not_ours_is_refused(folder: Path, text: str, message: str) -> None:
    start_run(folder, config(), None)
    whole = (folder / "config.yaml").read_text()
    if text.startswith("schema "):
        text = whole.replace("schema: 1", text.replace(" ", ": "), 1)
    text = whole[: whole.index("data_fingerprint")] if text == "half" else text
    (folder / "config.yaml").write_text(text, encoding="latin-1")
    for use in (lambda: open_run(folder), lambda: start_run(folder, config(), None)):
        with pytest.raises(RunError) as caught:
            use()
        assert "config.yaml" in str(caught.value)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_any_storage_and_no_other_later(folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    made = start_run(folder, config(), url)
    made.study()
    assert open_run(folder).storage == url
    assert not (folder / "study.journal").exists()
    with pytest.raises(RunError, match=r"is stored in sqlite:.*: repeat --storage sqlite:"):
        start_run(folder, config(), None)
    assert start_run(folder, config(), url).storage == url
    with pytest.raises(RunError, match=r"is stored in sqlite:.*, not in other\.journal"):
        start_run(folder, config(), "other.journal")


def test_a_message_has_no_more_than_the_beginning_of_a_long_storage(folder: Path) -> None:
    start_run(folder, config(), None)
    (folder / "storage.txt").write_text(f"sqlite:////{'x' * 3000}\nname\n")
    for use in (open_run(folder).permitted, lambda: start_run(folder, config(), "other.journal")):
        with pytest.raises(RunError, match="is stored in sqlite:////x") as caught:
            use()
        assert len(str(caught.value)) < 1000


def test_two_folders_of_one_name_do_not_share_a_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    start_run(tmp_path / "a" / "same", config(), url).study()
    other = start_run(tmp_path / "b" / "same", config(seed=1), url)
    with pytest.raises(RunError, match=r"study same in sqlite:.* holds another search: seed was 0, now 1"):
        other.study()
    assert config_of(start_run(tmp_path / "a" / "same", config(), url).study()).seed == 0


def test_a_study_of_somebody_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    theirs = optuna.create_study(storage=url, study_name="first", direction="maximize")
    theirs.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(RunError, match=r"study first .* was not made by `nars search`"):
        start_run(folder, config(), url).study()
    assert "config" not in theirs.user_attrs
    with pytest.raises(RunError, match="study 'first' was not made by `nars search`"):
        config_of(theirs)


def test_a_moved_folder_keeps_its_journal(folder: Path, tmp_path: Path) -> None:
    start_run(folder, config(), None).study().add_trial(optuna.create_trial(value=0.5))
    moved = tmp_path / "elsewhere" / "renamed"
    shutil.move(folder, moved)
    assert len(open_run(moved).study().trials) == 1


def test_the_latest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no run in runs/"):
        latest()
    for age, name in enumerate(("new", "older", "oldest")):
        start_run(runs.RUNS / name, config(), None)
        os.utime(runs.RUNS / name / "config.yaml", (1e9 - age, 1e9 - age))
    assert latest().name == "new"


def test_a_full_disk_leaves_the_run_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_run(folder, config("12"), None)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as during:
        during.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"cannot write .*: No space left on device"):
            start_run(folder, config("20"), None)
        with pytest.raises(RunError, match="No space left on device"):
            write_whole(folder / "best.yaml", "x")
    assert open_run(folder).config.budget == "12"
    assert sorted(file.name for file in folder.iterdir()) == ["config.yaml", "storage.txt"]


def test_one_at_a_time(folder: Path) -> None:
    made = start_run(folder, config(), None)
    with made.locked(), pytest.raises(TimeoutError), runs.FileLock(folder / ".lock", timeout=0.05):
        pytest.fail("the lock was not held")
