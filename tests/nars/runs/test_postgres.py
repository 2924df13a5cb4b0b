"""A real PostgreSQL server that is restarted, cut off and closed (`make test-cluster`)."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import optuna
import pytest
from optuna.trial import TrialState

from experiments.faults.servers import Postgres, postgres_programs
from nars.errors import RunError
from nars.runs.storage import open_storage

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    pytest.importorskip("psycopg")
    if postgres_programs() is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    with Postgres.running(tmp_path_factory.mktemp("cluster") / "server") as made:
        yield made


def study(url: str, name: str) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler()
    return optuna.create_study(
        storage=open_storage(url), study_name=name, load_if_exists=True, sampler=sampler
    )


def tell_some(url: str, name: str, count: int) -> None:
    tell(study(url, name), count)


def tell(found: optuna.Study, count: int, seconds: float = 0.0) -> None:
    for value in range(count):
        trial = found.ask()
        trial.suggest_int("x", 0, 9)
        time.sleep(seconds)
        found.tell(trial, value)


def test_three_restarts_in_the_middle_lose_nothing(server: Postgres) -> None:
    """A write whose connection broke may leave a trial that nobody owns; every told result is there."""
    opened = [study(server.url, "restarts") for _ in range(3)]  # before the first restart
    workers = [threading.Thread(target=tell, args=(found, 30, 0.1)) for found in opened]
    for worker in workers:
        worker.start()
    for _ in range(3):
        time.sleep(1)
        server.stop()
        time.sleep(1)
        server.start()
    for worker in workers:
        worker.join()
    done = study(server.url, "restarts").get_trials(states=(TrialState.COMPLETE,))
    assert sorted(trial.value for trial in done) == sorted(3 * [float(value) for value in range(30)])


def test_connections_that_are_cut_are_made_anew(server: Postgres) -> None:
    import psycopg

    found = study(server.url, "cut")
    with psycopg.connect(server.url, autocommit=True) as other:
        for value in range(3):
            trial = found.ask()
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            )
            found.tell(trial, value)
    assert [trial.value for trial in found.trials if trial.state == TrialState.COMPLETE] == [0, 1, 2]


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(
        RunError, match=r"cannot open storage postgresql://me:\*\*\*@127.0.0.1:9/x: "
    ) as caught:
        open_storage("postgresql://me:secret@127.0.0.1:9/x")
    assert "secret" not in str(caught.value)


def test_a_proxy_in_front_of_it(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("grpc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "nars", "storage", "--storage", server.url, "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("serving postgresql")
        deadline = time.monotonic() + 30
        while True:
            try:
                tell_some(f"grpc://localhost:{port}", "proxied", 3)
                break
            except RunError:
                assert time.monotonic() < deadline
        server.stop()
        restart = threading.Timer(2, server.start)
        restart.start()
        tell_some(f"grpc://localhost:{port}", "proxied", 2)
        restart.join()
    finally:
        process.kill()
        process.communicate()
    values = [trial.value for trial in study(server.url, "proxied").trials if trial.value is not None]
    assert values == [0, 1, 2, 0, 1]
