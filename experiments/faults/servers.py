"""A PostgreSQL server of an experiment's own, which can be stopped and started."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["Postgres", "postgres_programs"]


def postgres_programs() -> Path | None:
    """Return the folder with the server's programs; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else found[-1] if found else None


class Postgres:
    """A server in a folder and at a port of its own, on this machine.

    `address` is one that this machine has, and `inside` a command before its own, such as one that enters a
    network namespace. Raises `FileNotFoundError` if PostgreSQL is not installed.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1", inside: Sequence[str] = ()) -> None:
        programs = postgres_programs()
        if programs is None:
            raise FileNotFoundError("needs PostgreSQL: apt-get install postgresql")
        self._programs, self._folder, self._inside = programs, folder, list(inside)
        self._address = address
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"postgresql://nars@{address}:{self.port}/postgres"
        folder.mkdir(mode=0o755, parents=True)
        if os.geteuid() == 0:  # which the server refuses to be
            for parent in folder.parents[:-1]:
                parent.chmod(parent.stat().st_mode | 0o011)
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "nars")
        if address != "127.0.0.1":
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 0.0.0.0/0 trust\n")
        self.start()

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses={self._address} -c unix_socket_directories={self._folder}"
        )
        log = str(self._folder / "log")
        self._run("pg_ctl", "-w", "-D", str(self._folder / "data"), "-o", options, "-l", log, "start")

    def stop(self) -> None:
        """Stop it as a crash would: connections are cut, and nothing is tidied up."""
        self._run("pg_ctl", "-w", "-D", str(self._folder / "data"), "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        command = [*self._inside, *(as_user if os.geteuid() == 0 else []), str(self._programs / program)]
        with self._folder.with_suffix(".log").open("ab") as log:
            subprocess.run([*command, *arguments], check=True, stdout=log, stderr=log, cwd="/")

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, folder: Path, address: str = "127.0.0.1", inside: Sequence[str] = ()
    ) -> Iterator[Postgres]:
        """A server that is stopped at the end of the block."""
        server = cls(folder, address, inside)
        try:
            yield server
        finally:
            server.stop()
