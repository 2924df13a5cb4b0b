"""How many candidates train side by side: by what more of them gain, and by memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nars.errors import TrialMemoryError
from nars.runs.config import SearchConfig
from nars.runs.request import SearchRequest
from nars.searching.configure import configure
from nars.space.cost import count
from nars.tasks.base import Task
from nars.workers import neighbours as measured
from nars.workers.neighbours import neighbours, typical


class _Rehearsed(Task):
    """Counts the steps that it is asked for; more than `room` candidates do not fit."""

    name, metric, num_classes, fingerprint = "rehearsed", "score", 2, "none"
    device = torch.device("cuda")

    def __init__(self, room: int = 99) -> None:
        self.room, self.steps = room, 0

    def describe(self) -> str:
        return "nothing"

    def run(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is trained in full")

    def rehearse(self, candidate: Any) -> Callable[[], object] | None:
        if not self.room:
            raise TrialMemoryError("out of GPU memory")
        self.room -= 1
        return self._step

    def _step(self) -> None:
        self.steps += 1


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Pretend that there is a GPU, on which `rates[n]` steps a second of n trainings are made."""
    made: dict[str, Any] = {"rates": {1: 100, 2: 190, 4: 300, 8: 390, 16: 400}, "free": 1e12, "own": 1e9}
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (made["free"], 2e12))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: made["own"])
    monkeypatch.setattr(measured, "_steps_a_second", lambda steps, _: made["rates"][len(steps)])
    return made


def test_as_many_as_each_doubling_makes_a_fifth_faster(gpu: dict[str, Any]) -> None:
    assert neighbours(_Rehearsed(), None, 16) == 8  # type: ignore[arg-type]
    gpu["rates"][2] = 119
    assert neighbours(_Rehearsed(), None, 16) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (3, 2), (4, 4), (7, 4)])
def test_never_more_than_asked_for(gpu: dict[str, Any], most: int, expected: int) -> None:
    assert neighbours(_Rehearsed(), None, most) == expected  # type: ignore[arg-type]


def test_memory_is_left_for_all(gpu: dict[str, Any]) -> None:
    gpu["free"] = 5e9  # 4.5 may be taken; each takes 1 for its process and thrice its tensors
    assert neighbours(_Rehearsed(), None, 16) == 2  # type: ignore[arg-type]


def test_a_neighbour_that_does_not_fit_ends_it(gpu: dict[str, Any]) -> None:
    assert neighbours(_Rehearsed(room=3), None, 16) == 2  # type: ignore[arg-type]
    with pytest.raises(TrialMemoryError):
        neighbours(_Rehearsed(room=0), None, 16)  # type: ignore[arg-type]


def test_nobody_waits_for_long(gpu: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_PATIENCE_SECONDS", 0.0)
    assert neighbours(_Rehearsed(), None, 16) == 1  # type: ignore[arg-type]


def test_a_task_that_cannot_rehearse_has_one(gpu: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Rehearsed, "rehearse", Task.rehearse)
    assert neighbours(_Rehearsed(), None, 16) == 1  # type: ignore[arg-type]


def test_every_training_makes_the_same_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(measured, "_SECONDS", 0.001)
    task, other = _Rehearsed(), _Rehearsed()
    steps = [task.rehearse(None), other.rehearse(None)]
    stream = type("_Stream", (), {"device": None})()
    assert measured._steps_a_second(steps, [stream, stream]) > 0  # type: ignore[arg-type, list-item]
    assert task.steps == other.steps > measured._WARM


@pytest.fixture(scope="module")
def config() -> SearchConfig:
    return configure(SearchRequest(data="digits", max_macs=1e6, budget="2"))


def test_the_typical_candidate_is_within_the_limit(config: SearchConfig) -> None:
    candidate = typical(config)
    assert count(candidate.architecture, num_classes=10).macs <= 1e6
    assert candidate == typical(config)


def test_what_every_candidate_exceeds_still_has_a_typical_one(config: SearchConfig) -> None:
    smallest = typical(config.replace(limits={"macs": 1.0}))
    macs = count(smallest.architecture, num_classes=10).macs
    assert macs <= count(typical(config).architecture, num_classes=10).macs


def test_a_classifier_rehearses_its_training_step(config: SearchConfig) -> None:
    task = config.replace(device="cpu").open_task()
    step = task.rehearse(typical(config))
    assert step is not None
    losses = np.array([float(step()) for _ in range(8)])  # type: ignore[arg-type]
    assert losses[-1] < losses[0]  # it learns the same batch again and again


@pytest.mark.gpu
def test_small_candidates_share_a_gpu(config: SearchConfig, tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text(config.to_yaml())
    program = [sys.executable, "-m", "nars.workers.neighbours", str(file), "8"]
    assert int(subprocess.run(program, capture_output=True, check=True, text=True).stdout) >= 2
