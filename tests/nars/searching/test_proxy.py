from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import studies
import torch

from nars.errors import RunError, TrialError, UsageError
from nars.runs.config import SearchConfig
from nars.searching.proxy import proxy_check
from nars.searching.proxy_result import ProxyCheck
from nars.searching.ranking import Agreement
from nars.spec import Candidate
from nars.tasks.base import Outcome, Task
from nars.training.loop import Progress

SEEN = list[tuple[str, int, int]]


class Stub(Task):
    """Scores follow the resolution, and in short trainings also `bias` times the dropout."""

    name = "stub"
    metric = "accuracy"
    num_classes = 10
    fingerprint = "stub"

    def __init__(self, bias: float = 0.0, fails: tuple[str, ...] = (), pause: float = 0.0) -> None:
        self.device = torch.device("cpu")
        self.bias = bias
        self.fails = fails
        self.pause = pause
        self.seen: SEEN = []

    def describe(self) -> str:
        return "stub"

    def run(
        self,
        candidate: Candidate,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        self.seen.append((candidate.architecture.name, candidate.recipe.epochs, seed))
        time.sleep(self.pause)
        if candidate.architecture.name in self.fails:
            raise TrialError("loss is nan")
        short = candidate.recipe.epochs <= 20
        score = candidate.architecture.resolution / 40 + candidate.recipe.weight_decay
        score -= self.bias * candidate.recipe.dropout * short
        true = candidate.architecture.resolution / 40 + candidate.recipe.weight_decay
        curve = ((0.5, true), (1.0, true))
        metrics = {"backwards": -true, "accuracy": score}
        return Outcome(score, candidate.recipe.epochs, curve, seconds=2.0, metrics=metrics)


@pytest.fixture(scope="module")
def config() -> SearchConfig:
    return studies.config(32, limits={"macs": 8e6})


def test_every_candidate_is_trained_both_ways(config: SearchConfig) -> None:
    stub, calls = Stub(), []
    found = proxy_check(config, candidates=6, factor=10, task=stub, on_done=lambda *at: calls.append(at))
    assert len(found.pairs) == 6
    for pair in found.pairs:
        epochs = sorted(epochs for name, epochs, _ in stub.seen if name == pair.name)
        assert tuple(epochs) == pair.epochs
        assert pair.epochs[1] == 10 * pair.epochs[0]
        assert 0 < pair.macs <= 8e6  # within the limit
    assert len({seed for *_, seed in stub.seen}) == 12
    assert calls == [(at, 12) for at in range(1, 13)]
    assert found.seconds == 24


def test_a_short_training_that_ranks_alike(config: SearchConfig) -> None:
    found = proxy_check(config, factor=10, task=Stub())
    assert (found.agreement.value, found.loss) == (1, 0)
    assert found.verdict == "the short training can be trusted: 100% of pairs are ordered alike"


def test_a_short_training_that_misleads(config: SearchConfig) -> None:
    found = proxy_check(config, factor=10, task=Stub(bias=100))
    assert found.agreement.value < 0.3  # unrelated ranks of 12 candidates scatter by 0.2 around 0
    assert found.loss > 0
    assert found.verdict.endswith("train longer")
    assert found.agreement.low < found.agreement.value < found.agreement.high


def test_other_scores_of_the_short_training_may_rank_better(config: SearchConfig) -> None:
    found = proxy_check(config, factor=10, task=Stub(bias=100))
    assert {name: tau.value for name, tau in found.by_score.items()} == {
        "mean of the last 2": 1,
        "backwards": -1,
    }
    assert next(iter(found.by_score)) == "mean of the last 2"
    assert "by mean of the last 2: Kendall's tau 1.00" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["by_score"]["backwards"]["value"] == -1


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (0.8, 0.6, 0.9, "can be trusted: 90% of pairs"),
        (0.6, 0.2, 0.9, "most likely ranks well"),
        (0.5, -0.1, 0.8, "12 candidates cannot tell"),
        (0.4, 0.3, 0.5, "tells good from bad, not good from best"),
        (0.1, -0.4, 0.5, "does not rank like the long one"),
    ],
)
def test_verdicts(value: float, low: float, high: float, verdict: str) -> None:
    agreement = Agreement(value, low, high, 12)
    assert verdict in ProxyCheck("accuracy", 4.0, (), agreement, 0.0, 0.0).verdict


def test_same_seed_same_result(config: SearchConfig) -> None:
    first, again = (proxy_check(config, candidates=5, factor=10, task=Stub(bias=1)) for _ in range(2))
    assert first == again
    other = proxy_check(config.replace(seed=1), candidates=5, factor=10, task=Stub(bias=1))
    assert [pair.macs for pair in other.pairs] != [pair.macs for pair in first.pairs]


def test_a_candidate_that_cannot_be_trained_is_left_out(config: SearchConfig) -> None:
    found = proxy_check(config, candidates=6, factor=10, task=Stub(fails=("candidate2",)))
    assert found.agreement.pairs == 5
    assert found.pairs[2].reason == "loss is nan"
    assert "1 of 6 candidates could not be trained" in str(found)
    fields = json.loads(json.dumps(found.to_dict()))
    assert fields["tau"]["value"] == found.agreement.value
    assert fields["pairs"][2]["short"] is None


def test_nothing_to_rank(config: SearchConfig) -> None:
    names = tuple(f"candidate{at}" for at in range(3))
    with pytest.raises(RunError, match="only 3 of 6 candidates can be ranked: loss is nan"):
        proxy_check(config, candidates=6, task=Stub(fails=names))


@pytest.mark.parametrize(
    ("options", "rule"), [({"candidates": 3}, "4 candidates or more"), ({"factor": 1.0}, "factor above 1")]
)
def test_wrong_numbers(config: SearchConfig, options: dict[str, float], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        proxy_check(config, task=Stub(), **options)


def test_a_limit_on_latency(config: SearchConfig) -> None:
    with pytest.raises(UsageError, match="latency"):
        proxy_check(config.replace(limits={"latency": 0.1}), task=Stub())


@pytest.mark.slow  # 10 s of CPU: processes that import torch
def test_processes_give_the_same_as_one(config: SearchConfig) -> None:
    options = {"candidates": 4, "factor": 10.0}
    alone = proxy_check(config, task=Stub(bias=1), **options)
    assert proxy_check(config, task=Stub(bias=1), workers=2, **options) == alone


@pytest.mark.slow  # 15 s: three processes that import torch
def test_an_interrupt_ends_all_processes() -> None:
    program = """
        import studies, test_proxy
        from nars.searching.proxy import proxy_check
        stub = test_proxy.Stub(pause=60)
        print("started", flush=True)
        proxy_check(studies.config(32), candidates=4, task=stub, workers=2)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    time.sleep(10)  # until both trainings run
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C on a terminal does
    _, errors = process.communicate(timeout=20)  # far less than the trainings take
    assert process.returncode != 0
    assert errors.count(b"KeyboardInterrupt") == 1
    for _ in range(100):  # joblib's resource tracker cleans up for a moment
        left = [each.cmdline() for each in psutil.process_iter() if _is_in_group(each, process.pid)]
        if not left:
            break
        time.sleep(0.1)
    assert left == []


def _is_in_group(process: psutil.Process, group: int) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
