"""SIGTERM ends every kind of training with code 143 and one line, and the same command continues."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import folders
import numpy as np
import psutil
import pytest

from nars import tasks
from nars.cli import main
from nars.spec import Architecture, Block, Candidate, Recipe

STOPPING = "nars: stopping; the same command goes on from here"

SPACE = """kind: space
schema: 1
name: tiny
resolution: 8
stages:
- - {name: stem, op: conv, kernel: 3, channels: [8, 16], stride: 2}
recipe: {epochs: 100000}
"""


def _architecture() -> Architecture:
    def row(op: str, channels: int, stride: int = 1) -> Block:
        return Block(
            op=op, channels=channels, kernel=3, stride=stride, expansion=2 if op == "mbconv" else None
        )

    stages = ((row("conv", 8, 2),), (row("mbconv", 8, 2),), (row("mbconv", 8, 2), row("mbconv", 8)))
    return Architecture(name="tiny", resolution=32, stages=(*stages, (row("mbconv", 16, 2),)))


# The signal may come between the opening of a file and the block that closes it.
@pytest.mark.filterwarnings("ignore:.*_io.FileIO name='out/:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["train", "detect", "search"])
def test_a_terminated_training_says_so(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    candidate = Candidate(architecture=_architecture(), recipe=Recipe(epochs=1))
    Path("tiny.yaml").write_text(candidate.to_yaml())
    folders.coco(Path("scenes"))
    Path("space.yaml").write_text(SPACE)
    pixels = np.random.default_rng(0).integers(0, 255, (90, 8, 8), dtype=np.uint8)
    np.savez("data.npz", x_train=pixels, y_train=np.arange(90) % 3)
    words, sign = {
        "train": (["train", "tiny.yaml", "--data", "data.npz", "-o", "out"], "out/checkpoint.pt"),
        "detect": (
            ["detect", "train", "tiny.yaml", "--data", "scenes", "-o", "out", "--workers", "0"],
            "out/weights/last.pt",
        ),
        "search": (
            ["search", "--space", "space.yaml", "--data", "data.npz", "--workers", "1", "--run", "out"],
            "out/log.txt",
        ),
    }[kind]
    long = [] if kind == "search" else ["--epochs", "100000"]
    over = threading.Event()

    def terminate() -> None:
        while not over.is_set():
            if Path(sign).exists():
                os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(0.02)

    killer = threading.Thread(target=terminate, daemon=True)
    killer.start()
    try:
        code = main([*words, *long])
    except SystemExit as stop:  # supervision ends its process so
        code = int(stop.code or 0)
    finally:
        over.set()
        killer.join()
    assert code == 143
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("nars: ")]
    assert len(said) == 1
    assert "the same command" in said[0]
    if kind == "search":
        assert said == [STOPPING]
    assert [child for child in psutil.Process().children() if child.cwd() == str(tmp_path)] == []


def test_a_search_that_is_terminated_before_it_has_a_folder_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "load", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    monkeypatch.chdir(tmp_path)
    assert main(["search"]) == 143
    assert capfd.readouterr().err.splitlines()[-1] == "nars: stopping"


def test_a_search_that_is_interrupted_once_it_has_a_folder_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nars.engines.supervise._Supervision", interrupted)
    monkeypatch.chdir(tmp_path)
    assert main(["search", "--workers", "1", "--run", "out"]) == 130
    said = capfd.readouterr().err.splitlines()[-1]
    assert said == "nars: interrupted; the same command goes on from here"
    assert Path("out/config.yaml").exists()


@pytest.mark.parametrize(
    ("words", "promises"),
    [
        ("worker --study s", True),
        ("train a", True),
        ("detect train a", True),
        ("detect export a", False),
        ("predict a b", False),
        ("export best-arch", False),
        ("proxy-check", False),
    ],
)
def test_only_what_continues_promises_it(
    words: str, promises: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("click.Context.invoke", interrupted)
    assert main(words.split()) == 130
    said = capfd.readouterr().err.splitlines()[-1]
    assert said == f"nars: interrupted{'; the same command goes on from here' if promises else ''}"
