"""One contract for every predictor, and what pretraining is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from nars.errors import UsageError
from nars.predictors import make_predictor
from nars.predictors.ensemble import AccuracyPredictor
from nars.predictors.gaussian import MOST_LABELS, GaussianPredictor
from nars.predictors.scores import LabelScale
from nars.space import Space, genotypes
from nars.space.genotypes import Matrix
from nars.spec import Recipe
from search_spaces.spaces import space

MICRO = space("micro")
CANDIDATE = MICRO.decode(
    genotypes.to_genotypes(MICRO, genotypes.sample(MICRO, 1, np.random.default_rng(0)))[0]
)
SPACES = {
    "joint": MICRO,
    "architecture only": MICRO.fix(recipe=Recipe()),
    "recipe only": MICRO.fix(architecture=CANDIDATE.architecture),
    "one candidate": MICRO.fix(architecture=CANDIDATE.architecture, recipe=Recipe()),
}
PREDICTORS: dict[str, Callable[[Space], Any]] = {
    "ensemble": AccuracyPredictor,
    "scratch": lambda domain: AccuracyPredictor(domain, pretrained=False),
    "gaussian": GaussianPredictor,
}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NARS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(params=PREDICTORS)
def make(request: pytest.FixtureRequest) -> Callable[[Space], Any]:
    return PREDICTORS[request.param]


def draw(domain: Space, n: int, seed: int = 0) -> Matrix:
    return genotypes.sample(domain, n, np.random.default_rng(seed), quasi=False)


def accuracy(matrix: Matrix, noise: float = 0.0, seed: int = 0) -> NDArray[np.float64]:
    """Grows with compute and has a best learning rate and two good choices, as real tables do."""
    cost = np.log(MICRO.statistics(matrix)["macs"])
    rate = np.log(genotypes.numbers(MICRO, matrix, "recipe.lr") / 0.1)
    kernel = genotypes.numbers(MICRO, matrix, "stage4.kernel.first")
    sgd = [genotype["recipe.optimizer"] == "sgd" for genotype in genotypes.to_genotypes(MICRO, matrix)]
    clean = 0.7 + 0.05 * cost - 0.02 * rate**2 + 0.01 * kernel + 0.03 * np.array(sgd)
    return clean + np.random.default_rng(seed).normal(0, noise, len(matrix)) if noise else clean


def test_parameters_survive_a_clone(make: Callable[[Space], Any]) -> None:
    predictor = make(MICRO)
    assert vars(predictor) == predictor.get_params(deep=False)  # the constructor only stores
    again = clone(predictor)
    assert again.get_params(deep=False).keys() == predictor.get_params(deep=False).keys()
    assert again.domain == MICRO
    with pytest.raises(NotFittedError):
        again.predict(draw(MICRO, 3))


def test_ranks_what_it_has_not_seen(make: Callable[[Space], Any]) -> None:
    train, test = draw(MICRO, 120), draw(MICRO, 500, seed=1)
    predictor = make(MICRO)
    assert predictor.fit(train, accuracy(train, noise=0.01)) is predictor
    mean, std = predictor.predict(test, return_std=True)
    np.testing.assert_array_equal(mean, predictor.predict(test))
    # Chance gives 0 ± 0.03 on 500 rows. Clean labels differ by 0.05, so the noise leaves about 0.8.
    assert kendalltau(mean, accuracy(test)).statistic > 0.5
    assert abs(mean.mean() - accuracy(test).mean()) < 0.05
    assert mean.shape == std.shape == (500,)
    assert (std > 0).all()
    assert predictor.score(test, accuracy(test)) > 0.3  # R², from scikit-learn's mixin


def test_covariances_agree_with_the_deviations(make: Callable[[Space], Any]) -> None:
    train, test = draw(MICRO, 40), draw(MICRO, 30, seed=1)
    predictor = make(MICRO).fit(train, accuracy(train, noise=0.01))
    mean, std = predictor.predict(test, return_std=True)
    same, covariance = predictor.predict(test, return_cov=True)
    np.testing.assert_allclose(same, mean, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(covariance.diagonal()), std, rtol=1e-3)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    # Neighbours in the first dimension that differs are more alike than strangers are.
    near = test[:1].repeat(2, axis=0)
    near[1, list(MICRO.distributions).index("recipe.dropout")] *= 1.05
    pair = predictor.predict(near, return_cov=True)[1]
    correlation = covariance / np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal()))
    assert pair[0, 1] / np.sqrt(pair[0, 0] * pair[1, 1]) > np.median(correlation)


def test_pretraining_helps_where_labels_are_few() -> None:
    test = draw(MICRO, 500, seed=1)

    def tau(predictor: AccuracyPredictor, seed: int) -> float:
        train = draw(MICRO, 20, seed=seed + 2)
        return kendalltau(predictor.fit(train, accuracy(train)).predict(test), accuracy(test)).statistic

    with_it = np.mean([tau(AccuracyPredictor(MICRO), seed) for seed in range(2)])
    without = np.mean([tau(AccuracyPredictor(MICRO, pretrained=False), seed) for seed in range(2)])
    # Measured .58 and .37; seeds differ by 0.03.
    assert with_it > without + 0.1


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("name", SPACES)
def test_few_labels_in_any_space(make: Callable[[Space], Any], name: str, labels: int) -> None:
    domain = SPACES[name]
    y = np.linspace(0.4, 0.6, labels)
    mean, std = make(domain).fit(draw(domain, labels), y).predict(draw(domain, 50, seed=1), return_std=True)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
    assert (std >= 0).all()
    assert (np.abs(mean - 0.5) < 1).all()  # labels span 0.2; five times that is not a blow-up


def test_same_seed_same_predictions(make: Callable[[Space], Any]) -> None:
    train, test = draw(MICRO, 30), draw(MICRO, 50, seed=1)
    y = accuracy(train)
    first, again = (clone(make(MICRO)).fit(train, y).predict(test) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_failed_training_does_not_drown_the_rest(make: Callable[[Space], Any]) -> None:
    train, test = draw(MICRO, 60), draw(MICRO, 300, seed=1)
    y = accuracy(train)
    y[[3, 30]] = 0.0
    predicted = make(MICRO).fit(train, y).predict(test)
    assert kendalltau(predicted, accuracy(test)).statistic > 0.3


def test_uncertainty_grows_with_distance() -> None:
    narrow = draw(MICRO, 400)
    cost = MICRO.statistics(narrow)["macs"]
    order = np.argsort(cost)
    near, far = narrow[order[:100]], narrow[order[-100:]]
    for make in (AccuracyPredictor, GaussianPredictor):
        predictor = make(MICRO).fit(near, accuracy(near))
        assert predictor.predict(far, return_std=True)[1].mean() > (
            predictor.predict(near, return_std=True)[1].mean()
        )


def test_more_labels_than_the_process_holds() -> None:
    train = draw(MICRO, MOST_LABELS + 200)
    predictor = GaussianPredictor(MICRO).fit(train, accuracy(train, noise=0.01))
    assert len(predictor.inputs_) == MOST_LABELS
    test = draw(MICRO, 300, seed=1)
    assert kendalltau(predictor.predict(test), accuracy(test)).statistic > 0.8


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 3)), np.zeros(2), r"must be \[n, "),
        (draw(MICRO, 2), np.zeros(3), "one score for each of 2"),
        (draw(MICRO, 2)[:0], np.zeros(0), "at least one"),
        (draw(MICRO, 2), np.array([0.5, np.nan]), "finite, got nan"),
    ],
)
def test_wrong_labels_are_named(make: Callable[[Space], Any], x: Matrix, y: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(MICRO).fit(x, y)


@pytest.mark.parametrize("y", [[0.5], [0.5, 0.5], [0.5, 0.51, 0.52, 0.9], [0.0, 0.9, 0.91, 0.92, 0.93, 0.94]])
def test_label_scale_keeps_order_and_comes_back(y: list[float]) -> None:
    values = np.array(y)
    scale = LabelScale.of(values)
    z = scale.forward(values)
    np.testing.assert_allclose(scale.inverse(z), values, atol=1e-12)
    assert (np.diff(z) >= 0).all()
    assert np.abs(z).max() < 8


def test_the_unit_of_labels_does_not_matter() -> None:
    """Those in farads, or joules, were taken for equal."""
    values = np.array([0.2, 0.3, 0.35, 0.5, 0.1])
    small = LabelScale.of(values * 1e-13)
    np.testing.assert_allclose(small.forward(values * 1e-13), LabelScale.of(values).forward(values))
    for equal in (np.zeros(4), np.full(4, 1e-13), np.full(4, 3.0)):
        assert np.isfinite(LabelScale.of(equal).forward(equal)).all()


@pytest.mark.parametrize("y", [[0.48, 0.55, 0.55], [0.55, 0.55, 0.55, 0.48], [0.1, 0.55, 0.55, 0.55, 0.56]])
def test_equal_labels_among_a_few_do_not_set_the_scale(y: list[float]) -> None:
    values = np.array(y)
    scale = LabelScale.of(values)
    assert np.ptp(values) / scale.spread < 6


def test_what_lies_beyond_all_labels_goes_on_linearly() -> None:
    values = np.array([0.0, 0.70, 0.71, 0.72, 0.73, 0.74])
    scale = LabelScale.of(values)
    beyond = scale.inverse(np.array([scale.low - 2, scale.low - 1, scale.low, 4.0, 5.0]))
    np.testing.assert_allclose(np.diff(beyond)[[0, 1, 3]], scale.spread)
    assert np.abs(beyond[2]) < 1e-12
    within, outside = scale.inverse_std(np.array([scale.low + 0.5, 9.0]), np.ones(2))
    assert within > outside == pytest.approx(scale.spread)


def test_a_predictor_by_name() -> None:
    assert isinstance(make_predictor("gaussian", MICRO), GaussianPredictor)
    assert isinstance(make_predictor("ensemble", MICRO), AccuracyPredictor)
    with pytest.raises(UsageError, match="no predictor 'gausian': did you mean 'gaussian'"):
        make_predictor("gausian", MICRO)  # type: ignore[arg-type]


def test_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARS_CACHE", str(tmp_path))
    train = draw(SPACES["recipe only"], 5)
    AccuracyPredictor(SPACES["recipe only"]).fit(train, np.arange(5.0))
    assert not list(tmp_path.iterdir())  # nothing to pretrain


def test_scaled_labels_stay_as_they_are(make: Callable[[Space], Any]) -> None:
    """A sampler scales scores once and compares predictions on that scale."""
    train, test = draw(MICRO, 40), draw(MICRO, 50, seed=1)
    y = accuracy(train)
    y[3] = 0.0
    scale, own, told = LabelScale.of(y), make(MICRO), make(MICRO).set_params(scaled=True)
    predicted = told.fit(train, scale.forward(y)).predict(test)
    np.testing.assert_allclose(scale.inverse(predicted), own.fit(train, y).predict(test), atol=1e-9)
    unit, z = LabelScale.unit(), np.array([-9.0, 0.0, 4.0])
    np.testing.assert_array_equal(unit.forward(z), z)
    np.testing.assert_array_equal(unit.inverse(z), z)
    np.testing.assert_array_equal(unit.inverse_std(z, np.ones(3)), 1.0)
