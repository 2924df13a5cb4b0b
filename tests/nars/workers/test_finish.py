"""The winner is trained in full after the budget, once, and goes on after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from stub_task import TINY, StubTask, config

import nars
from nars.errors import RunError, UsageError
from nars.networks.weights import load_weights
from nars.runs.request import SearchRequest
from nars.searching.configure import configure
from nars.tasks.classification import Classification
from nars.trials import Record
from nars.workers.finish import finish


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> nars.SearchResult:
    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.yaml").write_text(TINY.replace("epochs: {low: 2, high: 5}", "epochs: 2"))
    settings = {"data": "digits", "budget": "2", "sampler": "random", "device": "cpu", "metric": "macro_f1"}
    config = configure(SearchRequest(space=folder / "tiny.yaml", **settings))
    return nars.search(config, folder / "run")


def test_the_winner_is_trained_by_its_recipe_with_its_seed(found: nars.SearchResult) -> None:
    run, seen = found.run, []
    finished = finish(run, found.study, None, lambda progress: seen.append(progress.epoch))
    best, again = (load_weights(run.folder / "weights" / name) for name in ("best.pt", "finished.pt"))
    assert seen == [1, 2]
    assert all(torch.equal(tensor, again.state[name]) for name, tensor in best.state.items())
    assert (finished.val, finished.metric) == (found.summary.best.score, "macro_f1")  # type: ignore[union-attr]
    assert finished.test.keys() == {"macro_f1", "accuracy", "balanced_accuracy"}
    assert finish(run, found.study, None, lambda progress: seen.append(progress.epoch)) == finished
    assert seen == [1, 2]  # nothing was trained again
    (run.folder / finished.file).write_bytes(b"altered")
    assert finish(run, found.study, 1, lambda progress: seen.append(progress.epoch)).epochs == 1
    assert seen == [1, 2, 1]


def test_an_interrupted_training_goes_on(found: nars.SearchResult, monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen = found.run, []

    def interrupted(progress: Any) -> None:
        seen.append(progress.epoch)
        if seen == [1, 2, 3]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(run, found.study, 5, interrupted)
    assert len(list((run.folder / "weights").glob("finished-*.checkpoint"))) == 1
    finished = finish(run, found.study, 5, interrupted)
    assert seen == [1, 2, 3, 4, 5]
    assert finished.epochs == 5
    assert load_weights(run.folder / finished.file).candidate.recipe.epochs == 5
    assert list((run.folder / "weights").glob("finished-*")) == []


def test_a_checkpoint_for_other_epochs_is_not_in_the_way(found: nars.SearchResult) -> None:
    def stop(progress: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(found.run, found.study, 7, stop)
    assert finish(found.run, found.study, 3).epochs == 3
    assert list((found.run.folder / "weights").glob("finished-*")) == []


def test_it_costs_no_budget_and_other_data_are_refused(
    found: nars.SearchResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(found.study.trials) == 2
    monkeypatch.setattr(Classification, "fingerprint", "other")
    with pytest.raises(RunError, match="the data at digits are not those of"):
        finish(found.run, found.study, 4)


def test_search_finishes_where_it_is_asked_to(stub: type[StubTask], tmp_path: Path) -> None:
    assert nars.search(config("3"), tmp_path / "run").finished is None
    trained = len(stub.trained)
    with pytest.raises(RunError, match="the task stub does not give away the weights"):
        nars.search(config("3"), tmp_path / "run", finish=4)
    candidate, seed = stub.trained[-1]
    assert len(stub.trained) == trained + 1
    assert candidate.recipe.epochs == 4
    assert seed in {
        Record.of(trial).seed for trial in nars.search(config("3"), tmp_path / "run").study.trials
    }


@pytest.mark.parametrize("finish", [0, -3, 2.5, "5", None])
def test_epochs_of_another_kind_are_one_line(tmp_path: Path, finish: Any) -> None:
    with pytest.raises(UsageError, match="finish is True, False or a number of epochs from 1, got"):
        nars.search(config("3"), tmp_path / "run", finish=finish)
