"""Do two hosts search together on one PostgreSQL, and train one network together by torchrun?

    python -m experiments.faults.hosts [--budget 16]

The hosts are network namespaces of this machine with host names of their own, joined by a bridge at which
PostgreSQL listens. The first starts a search with one worker, whose trainings only wait, and the second joins
it. Then the winner is trained on digits for two epochs by one process, and by torchrun on both hosts with one
process on each. Prints who trained how many trials, and the largest difference between the weights of the two
trainings and between their scores. Takes root and two minutes. Expected: the budget is met by both hosts, and
differences of rounding only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna

from experiments.faults.forking import forked
from experiments.faults.servers import Postgres
from experiments.faults.waiting import PROGRAM, search_command
from nars.errors import RunError
from nars.networks.weights import load_weights
from nars.runs.run import open_run
from nars.trials import Record, counts

HOSTS = {"nars-a": "10.231.7.1", "nars-b": "10.231.7.2"}
"""The hosts' names and addresses."""

_BRIDGE, _ADDRESS = "nars0", "10.231.7.254"
"""The bridge that joins them, and the address of this machine there."""


@contextlib.contextmanager
def two_hosts() -> Iterator[None]:
    """Make the hosts for the duration of a block. Raises `subprocess.CalledProcessError` if one cannot."""
    with contextlib.ExitStack() as stack:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        stack.callback(_ip, "link", "del", _BRIDGE)
        _ip("addr", "add", f"{_ADDRESS}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for host, address in HOSTS.items():
            _ip("netns", "add", host)
            names = stack.enter_context(_names_of(host))
            names.write_text("".join(f"{own} {name}\n" for name, own in HOSTS.items()))
            stack.callback(_ip, "netns", "del", host)
            _ip("link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", host)
            _ip("link", "set", host, "master", _BRIDGE, "up")
            _ip("-n", host, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", host, "link", "set", device, "up")
        yield


@contextlib.contextmanager
def _names_of(host: str) -> Iterator[Path]:
    """The file that ``ip netns exec`` shows to a host as its ``/etc/hosts``."""
    folder = Path("/etc/netns", host)
    folder.mkdir(parents=True)
    try:
        yield folder / "hosts"
    finally:
        shutil.rmtree(folder)


def search_on_both(folder: Path, budget: int) -> Counter[str]:
    """Search on both hosts; count the trials that each has trained, and raise `RunError` if one fails."""
    with Postgres.running(folder / "server", _ADDRESS) as server:
        run, log = folder / "run", folder / "log"
        first, second = HOSTS
        head = forked(search_command(run, budget, 1, server.url), log, first)
        while not (run / "config.yaml").exists() and head.is_alive():
            time.sleep(0.2)
        command = [sys.executable, *PROGRAM, "worker", "--storage", server.url, "--study", run.name]
        command += ["--device", "cpu", "--artifacts", str(run / "artifacts")]
        other = forked(command, log, second)
        other.join()
        while other.exitcode == 2 and head.is_alive():  # the study is not there yet
            other = forked(command, log, second)
            other.join()
        head.join()
        if head.exitcode or other.exitcode:
            raise RunError(f"exit codes {head.exitcode} and {other.exitcode}: {log.read_text()[-500:]}")
        trials = open_run(run, server.url).study().get_trials(deepcopy=False)
    return Counter((Record.of(trial).worker or "").partition(":")[0] for trial in trials if counts(trial))


def train_on_both(candidate: Path, folder: Path) -> tuple[float, float]:
    """Train alone and on both hosts; return the largest differences between weights and between scores."""
    arguments = f"-m nars train {candidate} --data digits --epochs 2 --device cpu".split()
    _finish([_started([sys.executable, *arguments, "-o", str(folder / "alone.pt")])])
    address = next(iter(HOSTS.values()))
    launch = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    launch += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{address}:29500", "--rdzv-id", "nars"]
    processes = []
    for host, own in HOSTS.items():
        inside = [*f"ip netns exec {host} unshare --uts sh -c".split(), 'hostname "$0" && exec "$@"', host]
        command = [*inside, sys.executable, *launch, "--local-addr", own, *arguments]
        processes.append(_started([*command, "-o", str(folder / "both.pt")]))
    _finish(processes)
    one, two = (load_weights(folder / name) for name in ("alone.pt", "both.pt"))
    weights = max(float((one.state[name] - two.state[name]).abs().max()) for name in one.state)
    return weights, max(abs(one.metrics[name] - two.metrics[name]) for name in one.metrics)


def _started(command: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "eth0", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _finish(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Wait for processes. Raises `RunError` with what they printed if one fails."""
    texts = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RunError("".join(texts)[-1000:])


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--budget", type=int, default=16, help="trials")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as name, two_hosts():
        trained = search_on_both(Path(name), options.budget)
        print(f"{trained.total()} of {options.budget} trained: {dict(trained)}", flush=True)
        weights, scores = train_on_both(Path(name) / "run" / "best.yaml", Path(name))
        print(f"one process and two hosts differ by {weights:.1e} in weights, by {scores:.1e} in scores")
    sys.exit(0 if trained.total() == options.budget and len(trained) == 2 and weights < 1e-3 else 1)


if __name__ == "__main__":
    main()
