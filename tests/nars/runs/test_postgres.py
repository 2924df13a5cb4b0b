"""A real PostgreSQL server that is restarted, cut off and closed (`make test-cluster`)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from nars.errors import RunError
from nars.runs.storage import open_storage

pytestmark = pytest.mark.cluster


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else found[-1] if found else None


class Server:
    """A server of its own, in a folder and at a port of its own."""

    def __init__(self, folder: Path) -> None:
        programs = _programs()
        if programs is None:
            pytest.skip("needs PostgreSQL: apt-get install postgresql")
        self.programs, self.folder = programs, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql://nars@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:  # which the server refuses to be
            folder.mkdir(mode=0o755)
            for parent in folder.parents:
                parent.chmod(parent.stat().st_mode | 0o011)
            shutil.chown(folder, "postgres")
        self.run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "nars")
        self.start()

    def run(self, program: str, *arguments: str) -> None:
        user = {"user": "postgres"} if os.geteuid() == 0 else {}
        with self.folder.with_suffix(".log").open("ab") as log:
            command = [str(self.programs / program), *arguments]
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd="/", **user)  # type: ignore[call-overload]

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self.run(
            "pg_ctl",
            "-w",
            "-D",
            str(self.folder / "data"),
            "-o",
            options,
            "-l",
            str(self.folder / "log"),
            "start",
        )

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("psycopg")
    made = Server(tmp_path_factory.mktemp("cluster") / "server")
    yield made
    made.stop()


def study(url: str, name: str) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler()
    return optuna.create_study(
        storage=open_storage(url), study_name=name, load_if_exists=True, sampler=sampler
    )


def tell_some(url: str, name: str, count: int, seconds: float = 0.0) -> None:
    found = study(url, name)
    for value in range(count):
        trial = found.ask()
        trial.suggest_int("x", 0, 9)
        time.sleep(seconds)
        found.tell(trial, value)


def test_three_restarts_in_the_middle_lose_nothing(server: Server) -> None:
    """A write whose connection broke may leave a trial that nobody owns; every told result is there."""
    study(server.url, "restarts")
    workers = [threading.Thread(target=tell_some, args=(server.url, "restarts", 30, 0.1)) for _ in range(3)]
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


def test_connections_that_are_cut_are_made_anew(server: Server) -> None:
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


def test_a_proxy_in_front_of_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
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
