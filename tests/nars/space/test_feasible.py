"""Limits: what meets them, how it is found where next to nothing does, what is said where nothing does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from stub_task import FEW, SPACE

from nars.errors import InfeasibleError, UsageError
from nars.space import Space, genotypes
from nars.space.feasible import Reservoir, feasible, feasible_part, sample, smallest, walk
from nars.space.genotypes import Matrix
from search_spaces import space

MICRO = space("micro").replace(num_classes=10)


def all_of(domain: Space) -> Matrix:
    """Every genotype of a space without ranges of floats."""
    choices = [
        [dist.to_internal_repr(value) for value in values]
        for dist, values in (
            (dist, range(dist.low, dist.high + 1, dist.step) if hasattr(dist, "low") else dist.choices)
            for dist in domain.distributions.values()
        )
    ]
    return domain.canonical(np.array(list(itertools.product(*choices)), dtype=float))


ARCHITECTURES = SPACE.replace(recipe={})


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_limits_are_inclusive_and_all_of_them_hold() -> None:
    matrix = genotypes.sample(SPACE, 500, rng())
    known = SPACE.statistics(matrix)
    limits = {"macs": float(np.median(known["macs"])), "params": float(np.median(known["params"]))}
    meets = feasible(SPACE, matrix, limits)
    assert np.array_equal(meets, (known["macs"] <= limits["macs"]) & (known["params"] <= limits["params"]))
    assert 0 < meets.sum() < 500
    at_the_median = np.argsort(known["macs"])[249]
    assert feasible(SPACE, matrix[[at_the_median]], {"macs": known["macs"][at_the_median]})[0]
    assert feasible(SPACE, matrix, {}).all()


@pytest.mark.parametrize("statistic", ["macs", "params"])
def test_smallest_is_the_smallest_of_all(statistic: str) -> None:
    values = ARCHITECTURES.statistics(all_of(ARCHITECTURES))[statistic]
    found = smallest(ARCHITECTURES, statistic)
    assert ARCHITECTURES.statistics(found[None])[statistic][0] == values.min()


@pytest.mark.parametrize("domain", [MICRO, space("fbnetv3")], ids=["micro", "fbnetv3"])
@pytest.mark.parametrize("statistic", ["macs", "params"])
def test_no_candidate_comes_below_the_smallest(domain: Space, statistic: str) -> None:
    least = domain.statistics(smallest(domain, statistic)[None])[statistic][0]
    near = np.repeat(smallest(domain, statistic)[None], 2000, axis=0)
    for matrix in (genotypes.sample(domain, 4096, rng()), genotypes.mutate(domain, near, rng(), rate=0.2)):
        assert domain.statistics(matrix)[statistic].min() >= least


@pytest.mark.parametrize("above", [1.0, 1.1, 2.0])
def test_samples_meet_the_limits_however_tight(above: float) -> None:
    """1.0 leaves the smallest network, with any recipe; 1.1 less than 1e-3 of the space."""
    limits = {"macs": above * SPACE.statistics(smallest(SPACE, "macs")[None])["macs"][0]}
    found = sample(SPACE, limits, 200, rng())
    assert len(found) == 200
    assert len(np.unique(found, axis=0)) == 200
    assert feasible(SPACE, found, limits).all()
    np.testing.assert_array_equal(found, SPACE.canonical(found))
    np.testing.assert_array_equal(found, sample(SPACE, limits, 200, rng()))


def test_a_handful_left_is_found_whole() -> None:
    every = np.unique(all_of(ARCHITECTURES), axis=0)
    macs = np.sort(ARCHITECTURES.statistics(every)["macs"])
    limits = {"macs": float(macs[9])}
    expected = every[feasible(ARCHITECTURES, every, limits)]
    found = sample(ARCHITECTURES, limits, 500, rng())
    np.testing.assert_array_equal(np.unique(found, axis=0), expected)


def test_walks_end_everywhere_alike() -> None:
    """From one corner, within limits that half of a small space meets, to large ones as often as to small."""
    limits = {"macs": float(np.median(ARCHITECTURES.statistics(all_of(ARCHITECTURES))["macs"]))}
    ended = walk(ARCHITECTURES, limits, smallest(ARCHITECTURES, "macs")[None], 4000, 60, rng())
    drawn = sample(ARCHITECTURES, limits, 4000, rng(), quasi=False)
    ours, theirs = (np.sort(ARCHITECTURES.statistics(matrix)["macs"]) for matrix in (ended, drawn))
    grid = np.unique(theirs)
    gap = np.searchsorted(ours, grid, "right") - np.searchsorted(theirs, grid, "right")
    # 99 of 100 times the distributions of 4000 draws each differ by less: 1.63 * sqrt(2 / 4000) = 0.036.
    assert np.abs(gap).max() / 4000 < 0.05


@pytest.mark.parametrize("limits", [{}, {"macs": 3e4}, {"macs": 1.3e4}], ids=str)
def test_a_reservoir_draws_within_the_limits_by_its_seed(limits: dict[str, float]) -> None:
    drawn = Reservoir(SPACE, limits, seed=1).draw(300, rng())
    assert drawn.shape == (300, len(SPACE.distributions))
    assert feasible(SPACE, drawn, limits).all()
    assert len(np.unique(drawn, axis=0)) > 250
    np.testing.assert_array_equal(drawn, Reservoir(SPACE, limits, seed=1).draw(300, rng()))
    assert (drawn != Reservoir(SPACE, limits, seed=1).draw(300, np.random.default_rng(1))).any()


def test_infeasible_says_the_smallest_possible_to_the_last_digit() -> None:
    least = {name: SPACE.statistics(smallest(SPACE, name)[None])[name][0] for name in ("macs", "params")}
    with pytest.raises(InfeasibleError) as caught:
        sample(SPACE, {"macs": 1000.0}, 1, rng())
    assert (
        str(caught.value)
        == f"no candidate meets macs <= 1000: the smallest possible is macs {least['macs']:.0f}"
    )
    assert len(sample(SPACE, {"macs": float(f"{least['macs']:.0f}")}, 5, rng())) == 5
    with pytest.raises(InfeasibleError, match=rf"the smallest possible is params {least['params']:.0f}$"):
        sample(SPACE, {"macs": 1e6, "params": 3.0}, 1, rng())


def test_a_limit_on_what_is_not_known() -> None:
    with pytest.raises(UsageError, match="no limit on 'latency' in this space: valid: macs, params"):
        sample(SPACE, {"latency": 1.0}, 1, rng())


def test_what_remains_without_limits() -> None:
    found = feasible_part(ARCHITECTURES, {}, rng())
    known = ARCHITECTURES.statistics(all_of(ARCHITECTURES))
    assert found.share == 1
    for name, (least, median, most) in found.quantiles.items():
        assert least == known[name].min()
        assert least < median < most <= known[name].max()


def test_what_remains_of_little() -> None:
    limits = {"macs": 1.3 * MICRO.statistics(smallest(MICRO, "macs")[None])["macs"][0]}
    found = feasible_part(MICRO, limits, rng())
    assert found.share < 1e-4
    least, median, most = found.quantiles["macs"]
    assert least == limits["macs"] / 1.3
    assert least < median <= most <= limits["macs"]
    with pytest.raises(InfeasibleError, match="the smallest possible is macs"):
        feasible_part(MICRO, {"macs": 1.0}, rng())


def test_a_space_of_four() -> None:
    assert len(np.unique(sample(FEW, {}, 64, rng()), axis=0)) == 4
