"""The joint table's bookkeeping; training itself is tested with the task."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.joint_table import FRACTIONS, table_space, train
from experiments.joint_table.describe import describe
from experiments.search_benchmark.tasks.joint import Noise, Surrogate
from nars.space.genotypes import sample, to_genotypes
from nars.spec import Candidate

ROOT = Path(__file__).parents[2]


def test_more_candidates_begin_with_the_same() -> None:
    np.testing.assert_array_equal(train.candidates(130)[:70], train.candidates(70))


def test_a_curve_is_read_at_the_epochs_that_have_ended() -> None:
    curve = [(0.2, 0.3), (0.4, 0.5), (0.6, 0.6), (0.8, 0.7), (1.0, 0.8)]
    assert [train._at(curve, fraction) for fraction in FRACTIONS] == [0.3, 0.3, 0.3, 0.5, 0.6, 0.6, 0.7, 0.8]


def test_only_whole_rows_count_as_trained(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    assert train._finished(rows) == set()
    rows.write_text("index,seed,accuracy\n0,0,0.5\n10,1,0.25\n3,0,0.")
    assert train._finished(rows) == {(0, 0), (10, 1)}
    assert rows.read_text().endswith("10,1,0.25\n")


def test_packed_tables_are_sorted_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    rows, target = tmp_path / "rows.csv", tmp_path / "table.csv.gz"
    rows.write_text("index,gate,seed\n2,none,0\n0,none,1\n0,none,0\n9,none,0\n")
    train._pack(rows, target, count=5)
    first = target.read_bytes()
    train._pack(rows, target, count=5)
    assert target.read_bytes() == first
    table = pd.read_csv(target, keep_default_na=False)
    assert table.to_dict("list") == {"index": [0, 0, 2], "gate": ["none"] * 3, "seed": [0, 1, 0]}


def test_the_surrogate_recovers_scores_and_noise_of_a_made_table() -> None:
    """Accuracy here is a function of rate and MACs; a quarter of the rows is measured twice."""
    space, rng = table_space(), np.random.default_rng(0)
    matrix = sample(space, 240, rng, quasi=False)

    def truth(rows: np.ndarray) -> np.ndarray:
        lr = rows[:, list(space.distributions).index("recipe.lr")]
        return 90 - 3 * np.log10(lr / 0.1) ** 2 + 2 * np.log10(space.statistics(rows)["macs"] / 1e6)

    twice = np.concatenate([matrix, matrix[:60]])
    accuracy = (truth(twice) + rng.normal(0, 0.2, len(twice))) / 100
    table = pd.DataFrame(to_genotypes(space, twice)).assign(accuracy=accuracy)
    surrogate = Surrogate.fit(space, table)
    unseen = sample(space, 300, rng, quasi=False)
    scores, seen = surrogate.train(unseen, rng)
    np.testing.assert_array_equal(scores, surrogate.score(unseen))
    noise = seen - scores
    assert noise.std() == pytest.approx(0.2, rel=0.3)  # sd of 60 pairs: 9 % relative error
    assert np.corrcoef(surrogate.score(unseen), truth(unseen))[0, 1] > 0.9


def test_accuracies_of_none_and_all_have_odds() -> None:
    space = table_space()
    table = pd.DataFrame(to_genotypes(space, sample(space, 30, np.random.default_rng(0), quasi=False)))
    surrogate = Surrogate.fit(space, table.assign(accuracy=[0.0, 1.0] * 15))
    scores = surrogate.score(sample(space, 100, np.random.default_rng(1)))
    assert np.isfinite(scores).all()
    assert (scores > 0).all()
    assert (scores < 100).all()


def test_a_part_of_a_table_is_described() -> None:
    """Half of these are trained twice, one point apart."""
    space = table_space()
    matrix = sample(space, 40, np.random.default_rng(0), quasi=False)
    macs = np.log10(space.statistics(matrix)["macs"])
    once = pd.DataFrame(to_genotypes(space, matrix)).assign(index=range(40), seed=0, accuracy=macs / 10)
    again = once[:20].assign(seed=1, accuracy=once["accuracy"] + 0.01)
    text = describe(pd.concat([once, again]))
    assert "40 candidates, 20 of them trained twice" in text
    assert "two seeds: 0.71" in text


def test_noise_falls_with_accuracy_where_that_of_the_repeats_does() -> None:
    rng = np.random.default_rng(0)
    means = rng.uniform(0, 2, 400)
    variances = (rng.normal(size=400) * np.exp(-1 - means)) ** 2
    noise = Noise.fit(means, variances, np.ones(400))
    assert (noise.log_sd, noise.slope) == pytest.approx((-1, -1), abs=0.15)  # standard errors .07 and .06
    np.testing.assert_array_equal(noise(np.array([9.0])), noise(np.array([means.max()])))
    assert Noise.fit(*np.zeros((3, 0)))(means).max() == 0


def test_the_way_from_a_row_to_a_candidate_is_as_its_readme_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"```python\n(.*?)```", (train.FOLDER / "README.md").read_text(), re.DOTALL)
    exec(code, {})
    assert Candidate.from_yaml(capsys.readouterr().out, "printed").recipe.epochs == 12
