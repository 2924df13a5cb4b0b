"""A search without training: scores are a known function of the candidate, and failures are staged.

The fixture `stub` makes it the task ``stub`` for searches in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sklearn.base import BaseEstimator, RegressorMixin

import nars
from nars import tasks
from nars.runs.config import SearchConfig
from nars.space import Space
from nars.space.cost import count
from nars.space.genotypes import is_architecture_feature
from nars.spec import Candidate
from nars.tasks.base import Outcome, Task
from nars.training.loop import Progress
from nars.trials import Record, counts

TINY = """
kind: space
schema: 1
name: tiny
resolution: {low: 8, high: 16, step: 4}
stages:
- - {name: stem, op: conv, kernel: 3, channels: {low: 4, high: 16, step: 4}}
- - name: stage1
    op: mbconv
    kernel: {first: [3, 5], rest: [3, 5]}
    expansion: {low: 1, high: 3}
    channels: {low: 4, high: 16, step: 4}
    depth: {low: 1, high: 2}
    stride: 2
- - {name: head, op: mbpool, expansion: 2, channels: 16}
recipe:
  lr: {low: 0.01, high: 1.0, log: true}
  epochs: {low: 2, high: 5}
  warmup_epochs: 0.5
"""
"""Some thousand architectures of two stages that train within a second on the embedded digits."""

SPACE = Space.from_yaml(TINY).replace(num_classes=10)

FEW = SPACE.replace(resolution=8, recipe={"epochs": 2}, stages=(SPACE.stages[0], SPACE.stages[2]), name="few")
"""A space of four candidates."""

Hook = Callable[[int, int], None]


class StubTask(Task):
    """`hook` is called with (training, epoch), both from 0, before each epoch, and may raise."""

    name = "stub"
    metric = "accuracy"
    hook: ClassVar[Hook | None] = None
    trained: ClassVar[list[tuple[Candidate, int]]] = []
    """Candidate and seed of every training that was begun."""

    def __init__(self, source: str, device: torch.device) -> None:
        self.source = source
        self.device = device

    @classmethod
    def open(cls, source: str | Path, device: torch.device, *, drop_bad: bool = False) -> Self:
        return cls(str(source), device)

    @property
    def num_classes(self) -> int:
        return 10

    @property
    def fingerprint(self) -> str:
        return f"stub:{self.source}"

    def describe(self) -> str:
        return "nothing to see"

    def run(
        self,
        candidate: Candidate,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        nth = len(self.trained)
        self.trained.append((candidate, seed))
        final = score(candidate, seed)
        epochs, curve = candidate.recipe.epochs, []
        for epoch in range(epochs):
            if self.hook is not None:
                type(self).hook(nth, epoch)
            share = (epoch + 1) / epochs
            curve.append((share, final * (0.5 + 0.5 * share)))
            progress = Progress(epoch + 1, epochs, curve[-1][1], 1.0, 0.01 * epoch)
            if on_epoch is not None and not on_epoch(progress):
                break
        return Outcome(curve[-1][1], len(curve), tuple(curve), 0.01)


def score(candidate: Candidate, seed: int) -> float:
    """Return a score that grows with MACs, is best at a learning rate of 0.1, and has a noise of 0.005."""
    macs = count(candidate.architecture, num_classes=10).macs
    noise = np.random.default_rng(seed).normal(0, 0.005)
    return float(np.clip(expected_score(macs, candidate.recipe.lr) + noise, 0, 1))


def expected_score(macs: Any, lr: Any) -> Any:
    return 0.5 + 0.1 * np.log10(macs / 1e4) - 0.1 * np.log10(lr / 0.1) ** 2


class StubPredictor(RegressorMixin, BaseEstimator):
    """Ridge regression in a millisecond, with the interface of `GaussianPredictor`."""

    def __init__(self, domain: Any, seed: int = 0, knowledge: Any = None, scaled: bool = True) -> None:
        self.domain = domain
        self.seed = seed
        self.knowledge = knowledge
        self.scaled = scaled

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        x = self._inputs(X)
        self.centre_ = np.mean(y)
        self.weights_ = np.linalg.solve(x.T @ x + 0.01 * np.eye(x.shape[1]), x.T @ (y - self.centre_))
        return self

    def predict(self, X: Any, return_std: bool = False, return_cov: bool = False) -> Any:  # noqa: N803 - scikit-learn's name
        mean = self.centre_ + self._inputs(X) @ self.weights_
        if return_cov:
            return mean, 1e-4 * np.eye(len(mean))
        return (mean, np.full(len(mean), 0.01)) if return_std else mean

    def _inputs(self, matrix: Any) -> Any:
        known = np.log10(np.stack(list(self.domain.statistics(matrix).values()), axis=1)) - 4
        recipe = self.domain.dimensions.features(matrix)[:, ~is_architecture_feature(self.domain)].astype(
            float
        )
        return np.concatenate([known, recipe, recipe**2, np.ones((len(known), 1))], axis=1)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StubTask]]:
    """Set up the task ``stub``, with nothing trained yet, and replace the predictor by the stub."""
    monkeypatch.setitem(tasks.TASKS, "stub", "stub_task:StubTask")
    monkeypatch.setattr("nars.predictors.gaussian.GaussianPredictor", StubPredictor)
    monkeypatch.setattr(StubTask, "trained", [])
    monkeypatch.setattr(StubTask, "hook", None)
    monkeypatch.setattr("os.fsync", lambda file: None)  # faster, and no test cuts the power
    return StubTask


def config(budget: str = "12", space: Space = SPACE, **changes: Any) -> SearchConfig:
    fields: dict[str, Any] = {"task": "stub", "data": "none", "data_fingerprint": "stub:none"}
    return SearchConfig(space=space, budget=budget, device="cpu", **(fields | changes))


def search(config: SearchConfig, folder: Path, storage: str | None = None) -> Study:
    """Search in this process until the budget is spent."""
    return nars.search(config, folder, storage).study


def trials(study: Study) -> list[FrozenTrial]:
    """Return the trials that cost budget, in order."""
    return [trial for trial in study.get_trials(deepcopy=False) if counts(trial)]


def complete(study: Study) -> list[FrozenTrial]:
    return [trial for trial in trials(study) if trial.state == TrialState.COMPLETE]


def path(study: Study) -> list[tuple[Any, ...]]:
    """Return genotype, seed and outcome of every trial that cost budget, in order."""
    return [(dict(trial.params), Record.of(trial).seed, trial.state, trial.values) for trial in trials(study)]


def hook_at(when: int, raised: BaseException, epoch: int = 1) -> Callable[[int, int], None]:
    """Make a hook that raises before this epoch of training `when`; both are counted from 0."""

    def hook(nth: int, at: int) -> None:
        if (nth, at) == (when, epoch):
            raise raised

    return hook
