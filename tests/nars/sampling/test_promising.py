"""The first candidates of many workers are large, trained for long, and unlike one another."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from stub_task import SPACE

from nars.networks.latency import WithLatency
from nars.sampling.parameters.domain import Parameters
from nars.sampling.promising import promise, spread, usual
from nars.sampling.sampler import NarsSampler
from nars.space import genotypes
from nars.spec import Recipe
from search_spaces.spaces import space

MICRO = space("micro").replace(num_classes=10)
DRAWN = genotypes.sample(SPACE, 200, np.random.default_rng(0))


def test_promise_rises_with_every_statistic() -> None:
    worth = promise(SPACE, DRAWN, by_size=True)
    sizes = SPACE.statistics(DRAWN)["macs"]
    assert 0 < worth.min() < worth.max() <= 1
    assert sizes[np.argsort(worth)[-20:]].mean() > 2 * sizes[np.argsort(worth)[:20]].mean()


def test_without_epochs_and_sizes_nothing_is_more_promising() -> None:
    names = list(SPACE.distributions)
    worth = promise(SPACE, DRAWN, by_size=False)
    assert (len(np.unique(worth)) == 1) == ("recipe.epochs" not in names)


def test_the_furthest_comes_first() -> None:
    chosen = spread(SPACE, DRAWN, DRAWN[:1], 5)
    unit = SPACE.dimensions.to_unit
    distances = ((unit(DRAWN) - unit(DRAWN[:1])) ** 2).sum(axis=1)
    np.testing.assert_array_equal(chosen[0], DRAWN[distances.argmax()])
    assert len(np.unique(chosen, axis=0)) == 5
    assert len(spread(SPACE, DRAWN[:3], DRAWN[:0], 9)) == 3


def test_the_usual_recipe_is_the_default_one_but_for_its_epochs() -> None:
    drawn = genotypes.sample(MICRO, 20, np.random.default_rng(0))
    changed = usual(MICRO, drawn)
    for before, after in zip(
        *(genotypes.to_genotypes(MICRO, rows) for rows in (drawn, changed)), strict=True
    ):
        own, recipe = MICRO.decode(before), MICRO.decode(after).recipe
        assert recipe.epochs == own.recipe.epochs
        assert (recipe.optimizer, recipe.lr, recipe.mixup, recipe.ema) == ("sgd", Recipe().lr, 0.0, False)
        assert MICRO.decode(after).architecture == own.architecture


def test_a_space_whose_latency_is_predicted_has_the_same_usual_recipe() -> None:
    drawn = genotypes.sample(MICRO, 20, np.random.default_rng(0))
    with_latency = WithLatency(MICRO, drawn, np.linspace(1, 2, len(drawn)))
    np.testing.assert_array_equal(usual(with_latency, drawn), usual(MICRO, drawn))


def test_choices_of_epochs_are_ranked_by_their_numbers() -> None:
    domain = Parameters({"recipe.epochs": CategoricalDistribution([60, 20, 5])})
    worth = promise(domain, np.array([[0.0], [1.0], [2.0]]), by_size=False)
    assert np.argsort(worth).tolist() == [2, 1, 0]
    named = Parameters({"recipe.epochs": CategoricalDistribution(["many", "few"])})
    assert len(np.unique(promise(named, np.array([[0.0], [1.0]]), by_size=False))) == 1


def test_a_domain_without_a_recipe_has_no_usual_one() -> None:
    domain = Parameters({"x": FloatDistribution(0, 1), "recipe.lr": FloatDistribution(0, 1)})
    drawn = genotypes.sample(domain, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(usual(domain, drawn), drawn)


def test_workers_that_come_while_the_first_one_trains_get_every_second_time_the_default_recipe() -> None:
    sampler = NarsSampler(MICRO, limits={"macs": 2e6}, objectives=["accuracy"], seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    asked = [study.ask(dict(MICRO.distributions)) for _ in range(9)]
    recipes = [MICRO.decode(trial.params).recipe for trial in asked]
    assert [recipe.lr == Recipe().lr for recipe in recipes] == [False] + 4 * [True, False]
    assert min(recipe.epochs for recipe in recipes[1:]) >= 10
    alone = optuna.create_study(direction="maximize", sampler=sampler)
    first = alone.ask(dict(MICRO.distributions))
    assert first.params == asked[0].params
    alone.tell(first, 0.5)
    even = sampler.proposer(alone).first_candidates[1]
    (genotype,) = genotypes.to_genotypes(MICRO, even[None])
    assert alone.ask(dict(MICRO.distributions)).params == genotype
