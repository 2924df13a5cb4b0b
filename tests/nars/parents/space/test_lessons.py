"""What is measured before a search: simple cuts, candidates near them, random ones, all within the limits."""

import numpy as np

from nars.parents.space import cuts, lessons, space_of, wholes_of
from nars.space import Space
from nars.space.genotypes import Genotype, from_genotypes
from nars.tasks.reference import FINE_TUNING
from search_spaces import published

LITE = published("efficientnet_lite0")
LIMITS = {"macs": 32e6}
WITHIN: Space = space_of(LITE, 160, LIMITS["macs"]).for_classes(10)
CUTS = [cut.genotype for cut in cuts(WITHIN, wholes_of(WITHIN, LITE, FINE_TUNING), WITHIN, LIMITS)]


def differences(genotypes: list[Genotype]) -> np.ndarray:
    """Shares [n] of the values in which genotypes differ from the nearest cut."""
    matrix, simple = (from_genotypes(WITHIN, each) for each in (genotypes, CUTS))
    return (matrix[:, None] != simple[None]).mean(axis=2).min(axis=1)


def test_they_are_cuts_and_their_neighbours_and_random_candidates() -> None:
    drawn = lessons(WITHIN, LIMITS, 0, CUTS, 64)
    assert len(CUTS) <= 16
    assert drawn[: len(CUTS)] == CUTS
    rest = differences(drawn[len(CUTS) :])
    near, random = np.split(rest, [len(rest) // 2])
    assert near.min() < 0.15
    assert near.max() < 0.6
    assert near.mean() < 0.6 * random.mean()
    assert (WITHIN.statistics(from_genotypes(WITHIN, drawn))["macs"] <= LIMITS["macs"]).all()


def test_of_many_cuts_an_even_choice_is_taken() -> None:
    drawn = lessons(WITHIN, LIMITS, 0, CUTS, 12)
    assert drawn[:3] == [CUTS[0], CUTS[(len(CUTS) - 1) // 2], CUTS[-1]]
    assert all(genotype not in CUTS for genotype in drawn[3:])


def test_the_seed_decides_them() -> None:
    assert lessons(WITHIN, LIMITS, 0, CUTS, 24) == lessons(WITHIN, LIMITS, 0, CUTS, 24)
    assert lessons(WITHIN, LIMITS, 0, CUTS, 24)[-1] != lessons(WITHIN, LIMITS, 1, CUTS, 24)[-1]


def test_without_cuts_all_are_random() -> None:
    assert differences(lessons(WITHIN, LIMITS, 0, [], 16)).min() > 0.3
