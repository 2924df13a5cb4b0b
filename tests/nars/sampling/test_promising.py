"""The first candidates of many workers are large, trained for long, and unlike one another."""

from __future__ import annotations

import numpy as np
from stub_task import SPACE

from nars.sampling.promising import promise, spread
from nars.space import genotypes

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
