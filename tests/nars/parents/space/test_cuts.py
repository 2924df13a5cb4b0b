"""Simple ways to a smaller network: within the limits, inside the space, the largest share that fits."""

import pytest

from nars.parents.space import best_cuts, cuts, space_of, wholes_of
from nars.searching.catalogue import space
from nars.space import Space
from nars.space.cost import count
from nars.spec import Architecture, Block, Candidate
from nars.tasks.reference import FINE_TUNING
from search_spaces import published

LITE = published("efficientnet_lite0")
RECIPE = FINE_TUNING.replace(epochs=7, distill=0.7)


def cuts_of(limit: float, side: int = 160, number: int = 2) -> list[Candidate]:
    within = space_of(LITE, side, limit).for_classes(10)
    wholes = wholes_of(within, LITE, RECIPE)
    found = cuts(within, wholes, within, {"macs": limit})
    return [within.decode(genotype) for genotype in best_cuts(found, number)]


def rows(candidate: Candidate) -> list[Block]:
    return [row for stage in candidate.architecture.stages for row in stage]


def expansions(candidate: Candidate) -> list[float | None]:
    return [row.expansion for row in rows(candidate) if row.op == "mbconv"][1:]


@pytest.mark.parametrize("limit", [8e6, 32e6, 60e6])
def test_cuts_are_just_within_the_limit(limit: float) -> None:
    for candidate in cuts_of(limit):
        assert 0.95 * limit < count(candidate.architecture, num_classes=10).macs <= limit


def test_a_cut_keeps_everything_but_hidden_channels() -> None:
    first, second = cuts_of(32e6)
    assert (first.architecture.resolution, second.architecture.resolution) == (80, 96)
    assert expansions(first) == [3, 3, 3.75, 3, 3, 3]
    assert expansions(second) == [2.25] * 6
    whole = [(row.channels, row.repeats, row.kernel) for stage in LITE.stages for row in stage]
    for candidate in (first, second):
        assert [(row.channels, row.repeats, row.kernel) for row in rows(candidate)] == whole


def test_within_a_tight_limit_blocks_go_as_well() -> None:
    first, second, third = cuts_of(8e6, number=3)
    assert [row.repeats for row in rows(first)] == [1, 1, 2, 2, 3, 1, 1, 1, 1]
    assert [row.repeats for row in rows(second)] == [1] * 9
    assert [row.repeats for row in rows(third)] == [1, 1, 2, 2, 3, 3, 4, 1, 1]
    assert [each.architecture.resolution for each in (first, second, third)] == [48, 64, 48]
    assert sum(expansions(first)) > sum(expansions(third))


def test_what_fits_as_a_whole_is_cut_no_further() -> None:
    """Within 32 M MACs all of the parent fits at 64 pixels, and one block of each row at 96."""
    within = space_of(LITE, 160, 32e6).for_classes(10)
    found = cuts(within, wholes_of(within, LITE, RECIPE), within, {"macs": 32e6})
    sizes = [(within.decode(cut.genotype).architecture.resolution, cut.depth) for cut in found]
    at_96 = [(96, "whole"), (96, "shorter"), (96, "shortest")]
    assert sizes == [*at_96, (80, "whole"), (80, "shorter"), (64, "whole")]
    assert [cut.share == 1 for cut in found] == [False, False, True, False, False, True]


def test_the_recipe_is_the_nearest_that_the_space_has() -> None:
    recipe = cuts_of(32e6)[0].recipe
    assert recipe.epochs == 6  # 7 is between two values of the space
    assert (recipe.lr, recipe.crop_area, recipe.distill) == (0.05, 0.5, 0.7)
    assert (recipe.policy, recipe.frozen, recipe.layer_decay) == ("none", 0.0, 1.0)


def test_what_is_known_of_cuts_goes_before_their_share() -> None:
    within = space_of(LITE, 160, 32e6).for_classes(10)
    found = cuts(within, wholes_of(within, LITE, RECIPE), within, {"macs": 32e6})
    usual = best_cuts(found, len(found))
    assert best_cuts(found, known=[(usual[5], 0.4), (usual[3], 0.5), (usual[4], 0.0)]) == [usual[3], usual[5]]
    assert best_cuts(found, known=[(usual[3], -1.0)]) == [usual[3], usual[0]]
    assert best_cuts(found, known=[({"another": 1}, 0.5)]) == usual[:2]


def test_a_space_without_the_parent_has_nothing_to_cut() -> None:
    assert wholes_of(space("micro"), LITE, RECIPE) == []


def test_a_limit_that_no_cut_meets_leaves_none() -> None:
    within = space_of(LITE, 160, 32e6).for_classes(10)
    assert cuts(within, wholes_of(within, LITE, RECIPE), within, {"macs": 1e5}) == []


def test_without_a_limit_the_first_is_the_parent_itself() -> None:
    within = space_of(LITE, 96).for_classes(10)
    [genotype] = best_cuts(cuts(within, wholes_of(within, LITE, RECIPE), within, {}), 1)
    assert same_network(within, genotype, LITE.replace(resolution=96))


def same_network(within: Space, genotype: dict[str, object], network: Architecture) -> bool:
    return within.decode(genotype).architecture.stages == network.stages
