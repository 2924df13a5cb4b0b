"""The file of a storage is found from any folder, and never made by reading."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from stub_task import config

from nars.errors import RunError
from nars.runs.location import absolute, check_exists, located
from nars.runs.run import default_folder, open_run, start_run


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sqlite:///r.db", "sqlite:///{here}/r.db"),
        ("sqlite+pysqlite:///./a/../r.db?timeout=9", "sqlite+pysqlite:///{here}/r.db?timeout=9"),
        ("sqlite:////there/r.db", "sqlite:////there/r.db"),
        ("a/r.journal", "{here}/a/r.journal"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:r?uri=true", "sqlite:///file:r?uri=true"),
        ("postgresql://host/r", "postgresql://host/r"),
    ],
)
def test_the_full_path_of_a_storage(
    given: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute(given) == expected.format(here=tmp_path)


def test_a_relative_storage_of_an_older_run_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "r.db").touch()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert located("sqlite:///r.db", Path("../run")) == f"sqlite:///{tmp_path}/r.db"
    with pytest.raises(RunError, match=r"run: its storage gone\.db is not there"):
        check_exists("sqlite:///gone.db", "run")
    assert not list(Path().iterdir())


def test_a_relative_storage_is_one_study_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = start_run(Path("run"), config(), "sqlite:///r.db")
    made.study().set_user_attr("mark", 1)
    assert start_run(Path("run"), config(), "sqlite:///./r.db").study().user_attrs["mark"] == 1
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert open_run(Path("../run"), "sqlite:///../r.db").study().user_attrs["mark"] == 1
    assert not list(Path().iterdir())


def test_a_storage_that_cannot_be_is_missing_in_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    start_run(run, config(), None)
    for storage in ("x" * 300 + ".journal", f"{run}/{'x' * 300}.journal"):
        (run / "storage.txt").write_text(f"{storage}\nrun\n")
        with pytest.raises(RunError, match="is not there"):
            open_run(run, storage).study()


@pytest.mark.parametrize("storage", ["sqlite:///{}/r.db", "{}/r.journal"])
def test_a_storage_in_a_run_folder_moves_with_it(storage: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    start_run(old, config(), storage.format(old)).study().set_user_attr("mark", 1)
    shutil.copytree(old, new)
    assert open_run(new).storage == storage.format(old)  # still there, and another search's
    shutil.rmtree(old)
    for given in (None, storage.format(new)):
        assert open_run(new, given).study().user_attrs["mark"] == 1
        assert start_run(new, config(), given).study().user_attrs["mark"] == 1
    assert not old.exists()


def test_a_reader_makes_no_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    start_run(Path("run"), config(), None)
    with pytest.raises(RunError, match="no trial was begun yet"):
        open_run(Path("run")).study()
    assert sorted(file.name for file in Path("run").iterdir()) == ["config.yaml", "storage.txt"]
    start_run(Path("b"), config(), "sqlite:///r.db").study()
    (tmp_path / "run" / "storage.txt").write_text("sqlite:///r.db\nrun\n")
    with pytest.raises(RunError, match="has no study 'run'"):
        open_run(Path("run"), "sqlite:///r.db").study()


def test_data_are_one_search_however_they_are_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").mkdir()
    (tmp_path / "link").symlink_to("shapes")
    spellings = ("shapes", "shapes/", "./shapes", "link", str(tmp_path / "shapes"))
    searches = [config(data=spelling) for spelling in spellings]
    assert len({search.identity for search in searches}) == 1
    first = default_folder(searches[0])
    start_run(first, searches[0], None)
    for search in searches:
        assert default_folder(search) == first
        start_run(first, search, None)
    replaced = config(data="shapes", data_fingerprint="stub:other")
    assert default_folder(replaced) != first
    with pytest.raises(RunError, match="the content of shapes has changed"):
        start_run(first, replaced, None)


def test_a_search_of_version_0_1_is_found_by_its_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").mkdir()
    search = config(data="./shapes")
    old = Path("runs") / f"{search.space.name}-shapes-{search.spelled_identity}"
    assert default_folder(search) != old
    start_run(old, search, None)
    assert default_folder(search) == old


def test_parents_are_one_however_they_are_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").touch()
    first, second = config(init="w.pt"), config(init="./w.pt")
    assert first.identity == second.identity
    second.check_continues(first, "run")
    with pytest.raises(RunError, match=r"init was 'w\.pt', now 'none'"):
        config(init="none").check_continues(first, "run")
