"""A search on classes of unequal size may weigh them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from stub_task import TINY

import nars
from nars.data import load


def test_a_search_tries_class_weights_and_balanced_batches(tmp_path: Path) -> None:
    """Three digits, of which one is ten times as rare as another."""
    digits = load("digits").train
    images, labels = digits.pixels[:, 0].numpy(), digits.labels.numpy()
    kept = [np.flatnonzero(labels == digit)[:count] for digit, count in ((0, 90), (1, 40), (8, 9))]
    chosen = np.concatenate(kept)
    np.savez(tmp_path / "rare.npz", x_train=images[chosen], y_train=np.repeat([0, 1, 2], [*map(len, kept)]))
    space = yaml.safe_load(TINY)
    choices = {"class_weights": ["none", "balanced"], "balanced_sampling": [False, True]}
    space["recipe"] |= {**choices, "epochs": 1}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(space))
    result = nars.search(
        data=tmp_path / "rare.npz",
        space=tmp_path / "mine.yaml",
        metric="balanced_accuracy",
        budget=6,
        run=tmp_path / "run",
    )
    trials = [trial for trial in result.study.trials if trial.values is not None]
    assert len(trials) == 6
    assert {trial.params["recipe.class_weights"] for trial in trials} == {"none", "balanced"}
    assert {trial.params["recipe.balanced_sampling"] for trial in trials} == {False, True}
    assert result.summary.best is not None
