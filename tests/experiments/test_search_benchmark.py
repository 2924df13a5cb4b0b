"""Every opponent keeps the contract on the toy task; the answers it is scored by are right."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from experiments.search_benchmark import gaussian_process
from experiments.search_benchmark.opponents import OPPONENTS, models
from experiments.search_benchmark.problem import Problem, Task
from experiments.search_benchmark.reference import Reference, hypervolume, nondominated, reference
from experiments.search_benchmark.report import (
    SLOW,
    ablation_table,
    balanced,
    beside,
    first_reaching,
    leaders_table,
    stalls_table,
    value_at,
    write,
)
from experiments.search_benchmark.run import Job, Row, chosen, jobs, main, read_rows, run
from experiments.search_benchmark.tasks import HELD_OUT, TASKS, load, ofa, toy
from experiments.search_benchmark.tasks.table import PlainDomain
from nars.errors import InfeasibleError, UsageError
from nars.space.values import contains

BUDGET = 14  # two beyond the random start of the longest
NEEDS = {"botorch": "botorch", "smac": "smac", "cma-es": "cmaes"}


def needed(name: str) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{name} needs the extra: pip install nars[benchmark]")


def search(task: Task, name: str, seed: int, budget: int = BUDGET) -> tuple[np.ndarray, np.ndarray]:
    """The candidates trained and the scores observed."""
    optimizer, noise = OPPONENTS[name].make(task.problem, budget, seed), np.random.default_rng(seed)
    trained, scores = [], []
    while sum(map(len, trained)) < budget:
        matrix = optimizer.ask()
        values = task.problem.values(matrix, task.train(matrix, noise)[1])
        optimizer.tell(matrix, values)
        trained.append(matrix)
        scores.append(values[:, 0])
    return np.concatenate(trained)[:budget], np.concatenate(scores)[:budget]


CASES = [
    pytest.param(name, kind, marks=[pytest.mark.slow] * (name in SLOW))
    for name, opponent in OPPONENTS.items()
    for kind in (["toy-limit"] if opponent.variant else toy.NAMES)  # variants of nars hardly differ
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_opponent_proposes_valid_candidates_that_its_seed_decides(name: str, kind: str) -> None:
    needed(name)
    task = load(kind)
    if not OPPONENTS[name].applies(task.problem):
        pytest.skip(f"{name} does not apply to {kind}")
    first, scores = search(task, name, seed=3)
    again, _ = search(task, name, seed=3)
    other, _ = search(task, name, seed=4, budget=4)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[:4], other)
    assert task.problem.feasible(first).all()
    assert np.isfinite(scores).all()
    for column, dist in zip(first.T, task.problem.domain.distributions.values(), strict=True):
        assert all(contains(dist, dist.to_external_repr(value)) for value in column.tolist())


def test_cma_es_takes_part_where_every_dimension_has_an_order() -> None:
    needed("cma-es")

    def applies(**dimensions: object) -> bool:
        return OPPONENTS["cma-es"].applies(Problem(PlainDomain(dimensions)))

    assert applies(kernel=CategoricalDistribution([3, 5, 7]), lr=FloatDistribution(0, 1))
    assert not applies(kernel=CategoricalDistribution([5, 3, 7]))
    assert not applies(ema=CategoricalDistribution([False, True]))
    assert not applies(act=CategoricalDistribution(["relu", "silu"]))


def test_cma_es_keeps_the_contract_on_dimensions_with_an_order() -> None:
    needed("cma-es")
    dimensions = {
        "kernel": CategoricalDistribution([3, 5, 7]),
        "lr": FloatDistribution(1e-3, 1, log=True),
        "width": IntDistribution(8, 64, step=8),
    }
    domain = PlainDomain(dimensions, statistics_of=lambda matrix: {"macs": matrix[:, 2]})

    def score(matrix: np.ndarray) -> np.ndarray:
        return -((np.log10(matrix[:, 1]) + 1) ** 2) + matrix[:, 0]

    task = Task(
        "ordered", Problem(domain, {"macs": 32}), score, lambda matrix, rng: (score(matrix),) * 2, "1"
    )
    first, scores = search(task, "cma-es", seed=3, budget=60)
    again, _ = search(task, "cma-es", seed=3, budget=60)
    np.testing.assert_array_equal(first, again)
    assert first[:, 2].max() == 32
    assert scores[-20:].mean() > scores[:20].mean()


@pytest.mark.parametrize("name", ["tpe", "local", "gp-ei"])
def test_an_optimizer_beats_random_search_on_the_toy(name: str) -> None:
    """By the mean of four fixed seeds at 32 trainings."""
    task = load("toy")

    def incumbents(which: str) -> list[float]:
        found = (search(task, which, seed, 32) for seed in range(4))
        return [task.truth(matrix[[np.argmax(scores)]])[0] for matrix, scores in found]

    assert np.mean(incumbents(name)) > np.mean(incumbents("random"))


def test_the_toys_optimum_is_where_it_is_said_to_be() -> None:
    task = load("toy")
    optimum = np.array([[1, 1, 1, 0, 5, 3, 0.03, 0]], dtype=np.float64)
    assert task.truth(optimum) == pytest.approx(toy.BEST)
    assert task.problem.domain.statistics(optimum)["macs"] == 375
    assert task.truth(task.problem.sample(5000, np.random.default_rng(0))).max() < toy.BEST


def test_the_reference_finds_the_toys_optimum_and_the_expected_best(tmp_path: Path) -> None:
    task = load("toy")
    known = reference(task, tmp_path)
    assert known.best == pytest.approx(toy.BEST, abs=1e-4)
    rng = np.random.default_rng(1)
    best = [task.truth(task.problem.sample(256, rng)).max() for _ in range(200)]
    error = np.std(best) / np.sqrt(len(best))
    assert known.random_best_of["256"] == pytest.approx(np.mean(best), abs=4 * error)
    assert reference(task, tmp_path) == known, "the cache gives back what was computed"


def test_fronts_and_hypervolumes_of_known_points() -> None:
    values = np.array([[1.0, 5.0], [3.0, 9.0], [2.0, 5.0], [0.5, 1.0], [3.0, 10.0]])
    assert nondominated(values).tolist() == [1, 2, 3]
    assert hypervolume(np.array([[1.0, 0.5], [0.5, 1.0], [0.4, 0.4], [-1, 3]])) == pytest.approx(0.75)


def test_gaussian_process_likelihood_has_the_gradient_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.random((12, 4)), rng.random((12, 1))]
    distances = [gaussian_process._distances(group, group) for group in groups]
    y, at = rng.normal(size=12), np.array([0.1, 0.4, -2.0])
    _, gradient = gaussian_process._negative_likelihood(at, distances, y)
    for i, step in enumerate(np.eye(3) * 1e-6):
        up, _ = gaussian_process._negative_likelihood(at + step, distances, y)
        down, _ = gaussian_process._negative_likelihood(at - step, distances, y)
        assert gradient[i] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-7)


def test_gaussian_process_interpolates_and_doubts_what_is_far() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((60, 2))
    y = np.sin(4 * x[:, 0]) + x[:, 1] ** 2
    hyper = gaussian_process.fit_hyperparameters([x], y)
    process = gaussian_process.fit([x], y, hyper)
    new = rng.random((200, 2))
    mean, near = process.predict_with_sd([new])
    assert np.abs(mean - np.sin(4 * new[:, 0]) - new[:, 1] ** 2).max() < 0.05  # y spans 2.8
    _, far = process.predict_with_sd([new + 3])
    assert near.max() < far.min()


def test_ofa_costs_are_those_published() -> None:
    """The first row of the DyNAS-T tables: genotype, MACs and parameters as measured there."""
    kernels = [5, 7, 5, 5, 3, 3, 3, 7, 5, 5, 3, 7, 7, 3, 3, 3, 5, 5, 5, 5]
    expansions = [4, 3, 4, 4, 4, 6, 3, 4, 4, 3, 4, 3, 3, 6, 6, 6, 4, 3, 4, 4]
    depths = [2, 3, 2, 4, 3]
    choices = ([3, 5, 7], [3, 4, 6], [2, 3, 4])
    blocks = zip(kernels, expansions, strict=True)
    row = [choices[2].index(depth) for depth in depths]
    row += [index for k, e in blocks for index in (choices[0].index(k), choices[1].index(e))]
    found = ofa.domain().statistics(np.array([row], dtype=np.float64))
    assert found["macs"] == 255_502_624
    assert found["params"] == 5_029_656


def test_a_limit_that_nothing_meets_is_said() -> None:
    impossible = load("toy").variant("impossible", limits={"macs": 1.0})
    with pytest.raises(InfeasibleError, match="none of"):
        impossible.problem.sample(1, np.random.default_rng(0))


@pytest.mark.parametrize("kind", toy.NAMES)
def test_a_training_tells_the_true_scores_beside_those_observed(kind: str) -> None:
    task, rng = load(kind), np.random.default_rng(0)
    matrix = task.problem.sample(50, rng)
    scores, observed = task.train(matrix, rng)
    np.testing.assert_array_equal(scores, task.truth(matrix))
    assert 0 < np.abs(observed - scores).max() < 0.1


def test_candidates_of_a_climb_are_those_of_numpys_unique() -> None:
    for task in map(load, toy.NAMES):
        matrix = task.problem.sample(40, np.random.default_rng(0))[
            np.random.default_rng(1).integers(40, size=90)
        ]
        expected = np.unique(matrix, axis=0, return_index=True)
        np.testing.assert_equal(models._unique(matrix), expected)


def test_half_of_the_tasks_is_held_out() -> None:
    assert set(TASKS) > HELD_OUT
    assert 0.4 < len(HELD_OUT) / len(TASKS) < 0.6
    with pytest.raises(UsageError, match="did you mean 'macro'"):
        load("marco")


def test_the_incumbent_is_chosen_by_what_was_observed(tmp_path: Path) -> None:
    task = load("toy")
    known = reference(task, tmp_path)
    row = run(task, known, Job("toy", "random", seed=0, budget=20))
    matrix = np.concatenate([OPPONENTS["random"].make(task.problem, 20, 0).ask() for _ in range(1)])
    assert value_at(row, 1) == pytest.approx(task.truth(matrix)[0], rel=1e-5)
    assert np.isnan(value_at(Row("random", 0, 8, 0.0, 0, "8:0.5"), 7))
    assert first_reaching(
        [Row("a", 0, 9, 0.0, 0, "1:0.1 4:0.5"), Row("a", 1, 9, 0.0, 0, "1:0.1")], 0.5
    ).tolist() == [
        4.0,
        np.inf,
    ]
    front = run(
        load("toy-pareto"), reference(load("toy-pareto"), tmp_path), Job("toy-pareto", "aging", 0, 16)
    )
    assert 0 < value_at(front, 16) <= 1


def test_a_benchmark_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    """One process and quick opponents; the last line is cut as by a kill."""
    command = [
        "--only",
        "toy",
        "random",
        "local",
        "--budgets",
        "4,8",
        "--out",
        str(tmp_path),
        "--processes",
        "1",
    ]
    assert main([*command, "--seeds", "2"]) == 0
    file = tmp_path / "toy.csv"
    whole = read_rows(file)
    assert {(row.opponent, row.seed, row.budget) for row in whole} == {
        (name, seed, 8) for name in ("random", "local") for seed in (0, 1)
    }
    file.write_text(file.read_text()[:-7])
    assert main([*command, "--seeds", "2"]) == 0
    again = {(row.opponent, row.seed): row.curve for row in read_rows(file)}
    assert again == {(row.opponent, row.seed): row.curve for row in whole}


def test_a_search_does_the_same_whatever_its_budget() -> None:
    """So one run serves all budgets up to its own."""
    longer, _ = search(load("toy"), "nars", seed=1, budget=40)
    shorter, _ = search(load("toy"), "nars", seed=1, budget=20)
    np.testing.assert_array_equal(longer[:20], shorter)


def test_slow_opponents_run_to_the_end_last_and_with_fewer_seeds() -> None:
    found = jobs(["toy"], ["botorch", "random"], 20, [16, 64, 256])
    assert [job.budget for job in found if job.opponent == "botorch"] == [64] * 20 + [256] * 5
    assert {job.budget for job in found if job.opponent == "random"} == {256}
    assert [(job.opponent, job.seed) for job in found[-5:]] == [("botorch", seed) for seed in range(5)]
    assert all(job.budget == 64 for job in jobs(["toy"], ["botorch"], 20, [16, 64]))


def test_names_are_checked() -> None:
    with pytest.raises(UsageError, match="no task or opponent 'gp'"):
        main(["--only", "gp"])


def test_variants_take_part_only_where_they_are_asked_for() -> None:
    tasks, opponents = chosen(["toy"])
    assert tasks == ["toy"]
    assert "nars" in opponents
    assert not any(OPPONENTS[name].variant for name in opponents)
    assert all(OPPONENTS[name].variant for name in chosen(ablations=True)[1])
    assert chosen(["nars-greedy", "ridge"])[1] == ["nars-greedy", "ridge"]


def test_reference_regret_is_zero_at_the_best_and_one_at_the_typical() -> None:
    known = Reference(best=3.0, typical=1.0, random_best_of={})
    assert (known.regret(3.0), known.regret(1.0)) == (0.0, 1.0)


def test_stalls_tell_better_from_same_and_worse() -> None:
    def rows(opponent: str, regrets: list[tuple[float, float]]) -> list[tuple[str, str, int, int, float]]:
        return [
            ("toy", opponent, seed, budget, regret)
            for seed, pair in enumerate(regrets)
            for budget, regret in zip((128, 256), pair, strict=True)
        ]

    found = rows("one", [(0.2, 0.1), (0.2, 0.2), (0.1, 0.3), (0.3, 0.2)]) + rows("two", [(0.1, 0.1)])
    frame = pd.DataFrame(found, columns=["task", "opponent", "seed", "budget", "regret"])
    lines = stalls_table(frame).splitlines()
    assert lines[2] == "| one | 0.50 | 0.25 | 0.25 | 0.20 |"
    assert lines[3] == "| two | 0.00 | 1.00 | 0.00 | 0.10 |"


def test_the_leader_of_a_task_is_who_has_the_least_mean_regret() -> None:
    frame = pd.DataFrame(
        [
            *(("a", "nars", seed, 16, regret) for seed, regret in enumerate([0.1, 0.3])),
            *(("a", "random", seed, 16, regret) for seed, regret in enumerate([0.0, 0.5])),
            *(("b", "nars", seed, 16, 0.2) for seed in range(2)),
            *(("b", "random", seed, 16, 0.1) for seed in range(2)),
        ],
        columns=["task", "opponent", "seed", "budget", "regret"],
    )

    lines = leaders_table(frame).splitlines()

    assert lines[2:] == ["| a | nars 0.200 |", "| b | random 0.100 (nars 0.200) |", "| nars first | 1 of 2 |"]


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no searches of these tasks"):
        write(tmp_path, tmp_path / "report", [])


def test_variants_are_compared_with_nars_on_the_runs_that_all_have() -> None:
    runs = [
        ("nars", 0, 0.2),
        ("nars", 1, 0.2),
        ("nars", 2, 0.9),
        ("nars-pool", 0, 0.3),
        ("nars-pool", 1, 0.1),
    ]
    frame = pd.DataFrame(
        [("a", name, seed, 64, regret) for name, seed, regret in runs],
        columns=["task", "opponent", "seed", "budget", "regret"],
    )

    text = ablation_table(frame)

    assert "Shares of the 2 runs" in text
    assert "| nars | 0.200" in text
    assert text.splitlines()[-1] == "| nars-pool | 0.50 | 0.50 |"


def test_seeds_that_some_tasks_lack_are_left_out() -> None:
    runs = [("a", 0, 16), ("a", 1, 16), ("b", 0, 16), ("a", 1, 32), ("b", 1, 32)]
    frame = pd.DataFrame(runs, columns=["task", "seed", "budget"])
    assert [tuple(line) for line in balanced(frame).to_numpy()] == [runs[0], *runs[2:]]
    assert len(balanced(frame.iloc[:0])) == 0
    apart = frame.iloc[[1, 2]]
    assert len(balanced(apart)) == 2


def test_slow_opponents_are_compared_where_they_were_run() -> None:
    runs = {"nars": [(0, 16), (0, 32), (1, 16), (1, 32)], "smac": [(1, 16)], "optuna-gp": [(0, 16)]}
    found = [("one", name, seed, budget, 0.1) for name, every in runs.items() for seed, budget in every]
    frame = pd.DataFrame(found, columns=["task", "opponent", "seed", "budget", "regret"])
    some = beside(frame, "smac")
    assert {*SLOW} == {"smac", "optuna-gp", "botorch"}
    assert sorted(zip(some["opponent"], some["seed"], some["budget"], strict=True)) == [
        ("nars", 1, 16),
        ("smac", 1, 16),
    ]
    assert some["rank"].tolist() == [1.5, 1.5]
