"""A warm start: what other searches of the same dimensions teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial
from stub_task import SPACE, TINY, StubTask, config, expected_score, score, search

from nars.cli import main
from nars.errors import RunError, SpecError, UsageError
from nars.predictors.gaussian import GaussianPredictor
from nars.predictors.knowledge import EarlierSearch, Knowledge
from nars.runs.config import SearchConfig
from nars.runs.request import SearchRequest
from nars.runs.run import open_run
from nars.sampling.sampler import NarsSampler
from nars.sampling.strategy import Strategy
from nars.searching.configure import configure
from nars.searching.earlier import learned
from nars.space import genotypes

NAMES = list(SPACE.distributions)
DRAWN = genotypes.sample(SPACE, 400, np.random.default_rng(7), quasi=False)
TRUE = expected_score(SPACE.statistics(DRAWN)["macs"], genotypes.numbers(SPACE, DRAWN, "recipe.lr"))


def earlier(n: int = 40, factor: float = 1.0) -> EarlierSearch:
    """Another task: its scores have another level and spread."""
    rng = np.random.default_rng(1)
    matrix = genotypes.sample(SPACE, n, rng)
    scores = expected_score(SPACE.statistics(matrix)["macs"], genotypes.numbers(SPACE, matrix, "recipe.lr"))
    return EarlierSearch(
        run="before",
        genotypes=tuple(genotypes.to_genotypes(SPACE, matrix)),
        scores=tuple(float(0.2 + factor * 0.3 * each) for each in scores),
    )


def objective(trial: Trial) -> float:
    return score(SPACE.decode(genotypes.suggest(SPACE, trial)), seed=0)


def study_of(**options: Any) -> Study:
    study = optuna.create_study(direction="maximize", sampler=NarsSampler(SPACE, seed=0, **options))
    study.optimize(objective, n_trials=6)
    return study


def test_knowledge_ranks_what_it_has_not_seen() -> None:
    found = Knowledge(SPACE, [earlier(), earlier(factor=-1)])(DRAWN)
    assert found.shape == (400, 2)
    assert np.corrcoef(found[:, 0], TRUE)[0, 1] > 0.9
    assert np.corrcoef(found[:, 1], TRUE)[0, 1] < -0.9


def test_it_is_one_more_thing_that_a_predictor_knows() -> None:
    """Six trials alone tell little; the same six say that an earlier search was right."""
    rng = np.random.default_rng(2)
    few = rng.permutation(400)[:6]
    alone = GaussianPredictor(SPACE).fit(DRAWN[few], TRUE[few])
    built = GaussianPredictor(SPACE, knowledge=Knowledge(SPACE, [earlier()])).fit(DRAWN[few], TRUE[few])
    errors = [np.abs(each.predict(DRAWN) - TRUE).mean() for each in (alone, built)]
    assert errors[1] < 0.7 * errors[0]


def test_a_few_labels_that_disagree_do_not_turn_it_round() -> None:
    """Of the three best, which an earlier search knows, the first happens to have trained worst."""
    best = DRAWN[np.argsort(-TRUE)[[0, 10, 20]]]
    predictor = GaussianPredictor(SPACE, knowledge=Knowledge(SPACE, [earlier()]))
    predicted = predictor.fit(best, [0.50, 0.51, 0.55]).predict(DRAWN)
    assert np.corrcoef(np.asarray(predicted), TRUE)[0, 1] > 0.8


def test_what_was_wrong_is_not_followed_for_long() -> None:
    rng = np.random.default_rng(3)
    some = rng.permutation(400)[:60]
    wrong = GaussianPredictor(SPACE, knowledge=Knowledge(SPACE, [earlier(factor=-1)]))
    predicted = wrong.fit(DRAWN[some], TRUE[some]).predict(DRAWN)
    assert np.corrcoef(np.asarray(predicted), TRUE)[0, 1] > 0.9


def test_half_of_the_first_batch_is_what_did_well_before() -> None:
    cold, warm = study_of(), study_of(strategy=Strategy(knowledge=Knowledge(SPACE, [earlier()])))
    cold_scores, warm_scores = ([trial.value for trial in study.trials] for study in (cold, warm))
    assert cold_scores[1::2] == warm_scores[1::2]
    assert np.min(warm_scores[::2]) > np.quantile(TRUE, 0.9)


def test_only_finite_scores_of_these_dimensions_are_learned_from(
    stub: type[StubTask], tmp_path: Path
) -> None:
    study = search(config("14"), tmp_path / "run")
    study.add_trial(optuna.create_trial(value=1.0))  # of another space
    found = learned(study, "run", NAMES)
    assert str(found) == f"{len(found.scores)} trials of run"
    assert 8 <= len(found.scores) <= 14
    assert EarlierSearch(**found.model_dump(mode="json")) == found  # as it is read from a file
    empty = optuna.create_study()
    with pytest.raises(UsageError, match="run has 0 scored trials; a warm start needs 8 or more"):
        learned(empty, "run", NAMES)


def test_a_search_that_starts_warm_goes_on_without_the_run_it_learned_from(
    stub: type[StubTask], tmp_path: Path
) -> None:
    search(config("14"), tmp_path / "one")
    space = tmp_path / "tiny.yaml"
    space.write_text(TINY)

    def warm(*folders: str) -> SearchConfig:
        runs = [tmp_path / folder for folder in folders]
        return configure(
            SearchRequest(space=space, task="stub", data="other", warm_start=runs, budget="6", device="cpu")
        )

    given = warm("one")
    search(given, tmp_path / "two")
    assert open_run(tmp_path / "two").config == given.replace(description="")
    with pytest.raises(RunError, match=r"warm start was \d+ trials of one, now nothing"):
        warm().check_continues(given, "two")


def test_bad_warm_starts(stub: type[StubTask], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(config("14"), tmp_path / "one")
    common = ["search", "--task", "stub", "--space", "micro", "--run", str(tmp_path / "two"), "--dry-run"]
    assert main([*common, "--warm-start", str(tmp_path / "one")]) == 2
    assert "no warm start from" in capsys.readouterr().err
    assert main([*common, "--warm-start", str(tmp_path / "none")]) == 2
    assert "is no run folder" in capsys.readouterr().err
    with pytest.raises(SpecError, match="a warm start needs the sampler nars"):
        config(warm_start=(earlier(),), sampler="tpe")
