"""Weights in the run folder are those of the winner and the front; the store loses the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import studies
import torch
from optuna.study import Study

from nars.artifacts import files as files_of_store
from nars.artifacts.files import keep
from nars.artifacts.store import Store, open_store
from nars.files import sha256_of
from nars.networks.build import build
from nars.networks.weights import save_weights
from nars.runs.run import Run, start_run
from nars.searching.confirm import measured
from nars.space.genotypes import sample, to_genotypes
from nars.spec import Candidate
from nars.trials import Record, artifact_of
from nars.workers.requeue import interrupt
from nars.workers.weights import find_weights, prune, write_weights

SEARCH = studies.config(24, objectives=("accuracy", "macs"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return start_run(tmp_path / "run", SEARCH, None)


@pytest.fixture
def store(run: Run) -> Store:
    return open_store(run.folder / "artifacts", create=True)


def add(study: Study, store: Store, genotype: dict[str, Any], score: float, macs: float, file: Path) -> int:
    """Add a finished trial whose weights are its number and its score as text."""
    study.enqueue_trial(genotype)
    trial = study.ask(dict(SEARCH.space.distributions))
    file.write_text(f"{trial.number} {score}")
    keep(trial, store, "weights", file)
    trial.set_user_attr("macs", macs)
    trial.set_user_attr("accuracy", score)
    study.tell(trial, [score, macs])
    return trial.number


@pytest.fixture
def genotypes() -> list[dict[str, Any]]:
    matrix = sample(SEARCH.space, 12, np.random.default_rng(0))
    return list(to_genotypes(SEARCH.space, matrix))


@pytest.fixture
def study(run: Run, store: Store, genotypes: list[dict[str, Any]], tmp_path: Path) -> Study:
    """A front of trials 0 and 1, of which 1 wins in three runs; eight worse ones that cost more."""
    made = run.study()
    scores = [(0.3, 1e6), (0.7, 2e6), *((0.6 - 0.05 * at, 3e6 + at) for at in range(8))]
    for genotype, (score, macs) in zip(genotypes, scores, strict=False):
        add(made, store, genotype, score, macs, tmp_path / "file")
    for score in (0.9, 0.8):
        add(made, store, genotypes[1], score, 2e6, tmp_path / "file")
    return made


def files(run: Run) -> dict[str, str]:
    folder = run.folder / "weights"
    return {
        file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*") if file.is_file()
    }


def test_the_winner_and_the_front_are_written(run: Run, study: Study, store: Store) -> None:
    write_weights(run, study, store)
    assert files(run) == {"best.pt": "11 0.8", "front/trial0.pt": "0 0.3", "front/trial1.pt": "11 0.8"}


def test_what_has_left_the_front_leaves_the_folder(
    run: Run, study: Study, store: Store, genotypes: list[dict[str, Any]], tmp_path: Path
) -> None:
    write_weights(run, study, store)
    for score in (0.95, 0.96):
        number = add(study, store, genotypes[11], score, 5e5, tmp_path / "file")
    write_weights(run, study, store)
    assert files(run) == {"best.pt": "12 0.95", f"front/trial{number - 1}.pt": "12 0.95"}


def test_a_trial_that_a_worker_finishes_meanwhile_is_no_error(
    run: Run, study: Study, store: Store, genotypes: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The files are written beside workers: the front may be that of more trials than were read before."""
    reads = []

    def read_and_add(**options: Any) -> Any:
        trials = Study.get_trials(study, **options)
        reads.append(len(trials))
        if len(reads) == 1:
            add(run.study(), store, genotypes[11], 0.2, 5e5, tmp_path / "file")
        return trials

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "get_trials", read_and_add)
        write_weights(run, study, store)
    assert reads[0] < reads[-1]
    assert files(run)["front/trial0.pt"] == "0 0.3"


def test_weights_that_were_not_kept_are_missing_and_not_those_of_another(
    run: Run, study: Study, store: Store, genotypes: list[dict[str, Any]]
) -> None:
    write_weights(run, study, store)
    for score in (0.95, 0.96):
        study.enqueue_trial(genotypes[11])
        trial = study.ask(dict(SEARCH.space.distributions))
        study.tell(trial, [score, 1e6])
    write_weights(run, study, store)
    assert files(run) == {}
    (run.folder / "weights" / "best.pt").write_text("of nars train")
    write_weights(run, study, store)
    assert files(run) == {"best.pt": "of nars train"}


def test_the_store_keeps_the_front_and_the_best_few(run: Run, study: Study, store: Store) -> None:
    write_weights(run, study, store)
    prune(study, SEARCH, store)
    ids = {file.name for file in (run.folder / "artifacts").iterdir()}
    kept = [trial.number for trial in study.trials if artifact_of(trial, "weights").id in ids]  # type: ignore[union-attr]
    assert kept == [0, 1, 2, 3, 4, 5, 10, 11]
    assert len(ids) == len(kept)


def test_a_checkpoint_lives_as_long_as_someone_may_go_on_from_it(
    run: Run, study: Study, store: Store, genotypes: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint"
    file.write_text("checkpoint")
    study.enqueue_trial(genotypes[10])
    trial = study.ask(dict(SEARCH.space.distributions))
    keep(trial, store, "checkpoint", file)
    artifact = artifact_of(trial, "checkpoint")
    assert artifact is not None
    path = run.folder / "artifacts" / artifact.id
    prune(study, SEARCH, store)
    assert path.exists()
    interrupt(study, study.trials[trial.number], SEARCH.space)
    prune(study, SEARCH, store)
    assert path.exists()
    repetition = study.ask(dict(SEARCH.space.distributions))
    assert Record.of(repetition).artifact_checkpoint == artifact
    study.tell(repetition, [0.1, 9e6])
    prune(study, SEARCH, store)
    assert not path.exists()


def test_a_file_that_was_cut_off_is_deleted(
    run: Run, study: Study, store: Store, genotypes: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set((run.folder / "artifacts").iterdir())

    def cut_off(*given: Any) -> None:
        raise KeyboardInterrupt

    study.enqueue_trial(genotypes[10])
    trial = study.ask(dict(SEARCH.space.distributions))
    monkeypatch.setattr(files_of_store, "write_artifact", cut_off)
    with pytest.raises(KeyboardInterrupt):
        keep(trial, store, "checkpoint", run.folder / "config.yaml")
    assert len(set((run.folder / "artifacts").iterdir()) - before) == 1
    interrupt(study, study.trials[trial.number], SEARCH.space)
    prune(study, SEARCH, store)
    assert set((run.folder / "artifacts").iterdir()) <= before


def test_a_search_without_results_writes_nothing(run: Run, store: Store) -> None:
    write_weights(run, run.study(), store)
    prune(run.study(), SEARCH, store)
    assert not (run.folder / "weights").exists()


def test_weights_of_another_recipe_are_not_those_of_a_candidate(
    run: Run, store: Store, genotypes: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Networks of a front that differ in their recipe alone were all exported with the winner's weights."""
    study, file, scratch = run.study(), tmp_path / "trained.pt", tmp_path / "scratch.pt"
    zeros, ones = torch.zeros(3), torch.ones(3)
    for optimizer in ("sgd", "adamw"):  # of one score, as on few images
        genotype = {**genotypes[0], "recipe.optimizer": optimizer}
        candidate = SEARCH.space.decode(genotype)
        assert isinstance(candidate, Candidate)
        model = build(candidate.architecture, 2)
        save_weights(file, model, candidate, {}, classes=("a", "b"), mean=zeros, std=ones)
        study.enqueue_trial(genotype)
        trial = study.ask(dict(SEARCH.space.distributions))
        keep(trial, store, "weights", file)
        trial.set_user_attr("macs", 1e6)
        study.tell(trial, [0.7, 1e6])
    write_weights(run, study, store)

    def found() -> list[str | None]:
        files = [find_weights(run, study, each, scratch) for each in measured(study.trials)]
        return [None if file is None else sha256_of(file) for file in files]

    expected = [artifact.sha256 for trial in study.trials if (artifact := artifact_of(trial, "weights"))]
    assert found() == expected
    (run.folder / "weights" / "front" / "trial1.pt").unlink()
    assert found() == expected
    (run.folder / "artifacts").rename(tmp_path / "artifacts")
    assert found() == [expected[0], None]
    save_weights(
        run.folder / "weights" / "best.pt", model, candidate, {}, classes=("b", "a"), mean=zeros, std=ones
    )
    (run.folder / "weights" / "front" / "trial0.pt").unlink()
    assert found() == [sha256_of(run.folder / "weights" / "best.pt"), None]
