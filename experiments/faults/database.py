"""Does a search survive a PostgreSQL that is restarted three times and then away for five minutes?

    python -m experiments.faults.database [--minutes 5] [--budget 32] [--epoch-seconds 10]

A search with two workers, and two more with a host name of their own, share a server of their own. Their
trainings, which only wait, take 20 to 40 seconds. The server is killed and started again three times; then
its port is closed. Printed are the lines of the search and of the others about it, and what came of trials:

- finished trials that are not there any more, or differ
- trials that were taken from a worker, who all live
- trials that nobody owns, which a call leaves that was carried out though its connection broke

Takes twice the minutes and root, for the host name. Expected: the budget is met, 0 lost, 0 taken.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from experiments.faults.forking import forked
from experiments.faults.servers import Postgres
from experiments.faults.waiting import PROGRAM, SECONDS, search_command
from experiments.kill_and_resume import finished
from nars.errors import RunError
from nars.runs.run import open_run
from nars.trials import Record, counts

_RESTARTS = 3
"""Restarts of the server."""

_DOWN_SECONDS = 2.0
"""Seconds for which it is down in a restart."""


def main() -> None:
    options = _parse()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as name, Postgres.running(Path(name) / "server") as server:
        sys.exit(0 if _search(server, Path(name), options) else 1)


def _search(server: Postgres, folder: Path, options: argparse.Namespace) -> bool:
    """Search through the outages; whether nothing was lost or taken, and the budget was met."""
    data, run, log = folder / "data", folder / "run", folder / "log"
    data.mkdir()
    (data / SECONDS).write_text(str(options.epoch_seconds))
    head = forked(search_command(run, options.budget, 2, server.url, "local", data), log)
    _wait_for(run, server.url, 1)
    worker = [
        sys.executable,
        *PROGRAM,
        "worker",
        "--storage",
        server.url,
        "--study",
        "run",
        "--device",
        "cpu",
    ]
    others = [
        forked([*worker, "--device", "cpu", "--artifacts", str(run / "artifacts")], log, "second")
        for _ in range(2)
    ]
    known: dict[int, tuple[object, ...]] = {}
    for _ in range(_RESTARTS):
        _wait_for(run, server.url, len(known) + 3)
        known |= finished(run, server.url)
        server.stop()
        time.sleep(_DOWN_SECONDS)
        server.start()
    _wait_for(run, server.url, len(known) + 3)
    known |= finished(run, server.url)
    server.stop()
    time.sleep(60 * options.minutes)
    server.start()
    head.join()
    for other in others:
        other.join()
    print(*sorted(set(_said(log, run))), sep="\n")
    trials = open_run(run, server.url).study().get_trials(deepcopy=False)
    now = finished(run, server.url)
    lost = sum(now.get(number) != record for number, record in known.items())
    taken = sum(Record.of(trial).repeats is not None for trial in trials)
    unowned = sum(_is_unowned(trial) for trial in trials)
    spent = sum(map(counts, trials))
    codes = [process.exitcode for process in (head, *others)]
    print(f"{spent} of {options.budget} trained; lost {lost}, taken {taken}, without an owner {unowned}")
    print(f"exit codes of the search and of the two other workers: {codes}")
    hosts = {(Record.of(trial).worker or "").partition(":")[0] for trial in trials if counts(trial)}
    print(f"hosts that trained: {len(hosts)}")
    return spent == options.budget and not lost and not taken and not any(codes)


def _said(log: Path, run: Path) -> list[str]:
    """The lines about the storage, without numbers of seconds and processes."""
    text = log.read_text() + (run / "log.txt").read_text()
    lines = [line for line in text.splitlines() if "answer" in line or "again" in line]
    return [re.sub(r"after \d+ s", "after SECONDS s", line) for line in lines]


def _is_unowned(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING or (not counts(trial) and Record.of(trial).worker is None)


def _wait_for(run: Path, storage: str, count: int) -> None:
    """Wait until so many trials are finished."""
    while not (run / "config.yaml").exists() or len(_finished(run, storage)) < count:
        time.sleep(1)


def _finished(run: Path, storage: str) -> dict[int, tuple[object, ...]]:
    try:
        return finished(run, storage)
    except RunError:  # the search has not made its study yet
        return {}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5, help="for which the port is closed")
    parser.add_argument("--budget", type=int, default=32, help="trials")
    parser.add_argument("--epoch-seconds", type=float, default=10, help="duration of an epoch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
