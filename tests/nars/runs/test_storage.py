"""The journal survives kills: nothing written before is lost, and no process is locked out."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from sqlalchemy.exc import OperationalError

from nars.errors import RunError
from nars.runs import storage
from nars.runs.storage import JournalLock, check_server, open_storage


def study(journal: Path) -> optuna.Study:
    return optuna.create_study(
        storage=open_storage(journal),
        study_name="s",
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
    )


def tell_some(journal: Path, count: int = 3) -> None:
    found = study(journal)
    for value in range(count):
        trial = found.ask()
        trial.suggest_int("x", 0, 9)
        found.tell(trial, value)


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_torn_last_line_costs_only_what_it_said(tmp_path: Path, cut: int) -> None:
    """A kill or a full disk leaves such a line: all before it is kept, and writing continues after it."""
    journal = tmp_path / "study.journal"
    tell_some(journal)
    whole = journal.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    journal.write_bytes(whole[: max(len(whole) - cut, last + 1)])
    assert [trial.value for trial in study(journal).trials[:2]] == [0, 1]
    tell_some(journal, 1)
    assert journal.read_bytes().startswith(whole[:last])
    assert journal.read_bytes().endswith(b"\n")
    values = [trial.value for trial in study(journal).trials]
    assert values == [0, 1, None, 0]  # the third value was torn off


def test_without_mending_the_journal_would_be_unreadable(tmp_path: Path) -> None:
    """This is why the lock mends: Optuna's own lock lets the next line be appended to the torn one."""
    journal = tmp_path / "study.journal"
    tell_some(journal)
    journal.write_bytes(journal.read_bytes()[:-5])
    unmended = JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    with pytest.raises(ValueError, match=r"Expecting|Extra data|Unterminated|delimiter"):
        [unmended.set_study_user_attr(0, "x", value) for value in range(2)]


@pytest.mark.parametrize("content", [b"", b'{"op'])
def test_a_journal_that_has_only_just_begun(tmp_path: Path, content: bytes) -> None:
    journal = tmp_path / "study.journal"
    journal.write_bytes(content)
    tell_some(journal)
    assert len(study(journal).trials) == 3


HOLD = """
import sys, time
from pathlib import Path
from nars.runs.storage import JournalLock
lock = JournalLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    journal.touch()
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(journal)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        got = threading.Event()
        waiter = threading.Thread(target=lambda: (JournalLock(journal).acquire(), got.set()))
        waiter.start()
        assert not got.wait(0.3)  # it is held
        process.send_signal(signal.SIGKILL)
        start = time.monotonic()
        assert got.wait(10)
        assert time.monotonic() - start < 5  # Optuna's own waits 30 s
        waiter.join()
    finally:
        process.kill()
        process.communicate()


def test_threads_and_storages_take_turns(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    study(journal)
    threads = [threading.Thread(target=tell_some, args=(journal, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = study(journal).trials
    assert [trial.number for trial in trials] == list(range(40))
    assert all(trial.state.is_finished() for trial in trials)


def test_any_storage_of_optuna(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    found = optuna.create_study(storage=open_storage(url), study_name="s")
    assert optuna.get_all_study_names(open_storage(url)) == [found.study_name]


@pytest.mark.parametrize(
    "where", ["no/such/folder/study.journal", "nonsense://host/db", "sqlite:////no/such/x.db"]
)
def test_a_storage_that_cannot_be_opened(where: str) -> None:
    with pytest.raises(RunError, match=f"cannot open storage {where}: ") as caught:
        open_storage(where)
    assert "\n" not in str(caught.value)


def test_what_is_no_storage_is_said_with_what_may_be_meant(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for folder, file in ((run, "study.journal"), (elsewhere, "storage.txt")):
        folder.mkdir()
        (folder / file).touch()
    with pytest.raises(RunError, match=f"it is a run folder, whose storage is {run}/study.journal$"):
        open_storage(run)
    with pytest.raises(RunError, match=f"whose storage is in the first line of {elsewhere}/storage.txt$"):
        open_storage(elsewhere)
    with pytest.raises(RunError, match=r"give the path of a \.journal file, or a URL"):
        open_storage("runs/none")
    with pytest.raises(RunError, match="'postgresq' is no database; did you mean 'postgresql'"):
        open_storage("postgresq://me@db/x")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("connection failed: fe_sendauth: no password supplied", "PGPASSWORD"),
        ('FATAL:  password authentication failed for user "me"', "PGPASSWORD"),
        ('FATAL:  database "x" does not exist', "createdb x$"),
    ],
)
def test_what_a_database_refuses_has_a_remedy(
    said: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(url: str, engine_kwargs: object) -> None:
        raise OperationalError("connect", {}, Exception(said))

    monkeypatch.setattr(storage, "RDBStorage", refuse)
    with pytest.raises(RunError, match=f"{said}; .*{remedy}"):
        open_storage("postgresql://me@db/x")


def test_only_a_server_is_asked_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(storage._CONNECTION, "connect_timeout", 0.5)
    file = tmp_path / "study.db"
    check_server(f"sqlite:///{file}")
    check_server(str(tmp_path / "study.journal"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="cannot open storage"):
        check_server("grpc://localhost:9")
