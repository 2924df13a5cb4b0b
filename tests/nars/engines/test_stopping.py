"""The first signal ends a search in order, the second one at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any

import psutil
import pytest

from nars.engines.stopping import stoppable


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_the_first_signal_is_an_exception_and_handlers_are_put_back(number: int, raised: Any) -> None:
    before = signal.getsignal(number)
    with pytest.raises(raised) as caught, stoppable([]):
        signal.raise_signal(number)
    assert raised is KeyboardInterrupt or caught.value.code == 143
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_while_a_worker_starts_waits_until_it_is_in_the_team(number: int, raised: Any) -> None:
    team: list[Any] = []

    def start() -> None:
        signal.raise_signal(number)
        team.append("a worker")

    with pytest.raises(raised), stoppable(team) as whole, whole():
        start()
    assert team == ["a worker"]


TWICE = """
import subprocess, sys, time
from nars.engines.stopping import stoppable
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
with stoppable([child]):
    try:
        print(child.pid, flush=True)
        time.sleep(60)
    finally:
        print("stopping", flush=True)
        time.sleep(60)
"""


def test_the_second_signal_kills_and_ends_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TWICE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline()))
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines() == [
        "nars: stopping; press Ctrl-C again to stop at once",
        "nars: stopped at once; the same command goes on from here",
    ]
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_in_another_thread_signals_stay_as_they_are() -> None:
    before = signal.getsignal(signal.SIGINT)
    handlers: list[Any] = []

    def look() -> None:
        with stoppable([]):
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [before]
