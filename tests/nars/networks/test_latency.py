"""Latency: measured on built networks, predicted for the rest, remembered by the study."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
import torch
from scipy.stats import spearmanr
from stub_task import SPACE
from torch import nn

from nars.errors import TrialError, TrialMemoryError, UsageError
from nars.networks import latency
from nars.networks.latency import Latency, WithLatency, latency_domain, measure, time_forward
from nars.space import genotypes
from nars.space.cost import count
from nars.studies import latency_samples
from search_spaces import space

CPU = torch.device("cpu")
MICRO = space("micro").replace(num_classes=10)


def test_a_slower_network_takes_longer() -> None:
    """Eight times the work: well above the noise of a busy machine."""
    small, large = (nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))
    images = [torch.zeros(1, 16, side, side) for side in (32, 96)]
    one, two = (
        time_forward(net, image, seconds=0.1) for net, image in zip((small, large), images, strict=True)
    )
    assert 0 < one.low <= one.median <= one.high
    assert two.median > 1.5 * one.median
    assert one.runs >= 10


def test_it_is_measured_at_least_a_few_times_however_slow() -> None:
    calls: list[int] = []

    class Counting(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            return images

    assert time_forward(Counting(), torch.zeros(1), seconds=0.0, least=7).runs == 7
    assert len(calls) == 7 + 3  # the warm-up


def test_measuring_builds_the_network_at_its_resolution() -> None:
    seen: list[tuple[int, ...]] = []

    def watch(model: nn.Module, images: torch.Tensor, *, seconds: float) -> Latency:
        assert not model.training
        assert model(images).shape == (1, 10)
        seen.append(tuple(images.shape))
        return Latency(1.0, 1.0, 1.0, 1)

    architecture = SPACE.decode(first(SPACE)).architecture
    with pytest.MonkeyPatch.context() as during:
        during.setattr(latency, "time_forward", watch)
        measure(architecture, 10, CPU)
        measure(architecture, 10, CPU, resolution=24)
    assert seen == [(1, 3, 8, 8), (1, 3, 24, 24)]


def test_a_network_too_large_to_time_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*given: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9e15 bytes")

    monkeypatch.setattr(latency, "build", build)
    with pytest.raises(TrialMemoryError, match="out of memory while measuring latency at 8 px"):
        measure(SPACE.decode(first(SPACE)).architecture, 10, CPU)


def first(domain: Any) -> genotypes.Genotype:
    return genotypes.to_genotypes(
        domain, domain.dimensions.from_unit(np.zeros((1, len(domain.distributions))))
    )[0]


def simulated(matrix: genotypes.Matrix, noise: float, seed: int) -> Any:
    """What a device might take: its MACs at a rate that depends on the kernel, a fixed cost, noise."""
    known = MICRO.statistics(matrix)["macs"]
    kernels = genotypes.numbers(MICRO, matrix, "stage2.kernel.first")
    seconds = 1e-4 + known * 1e-10 * np.where(kernels == 5, 1.5, 1.0)
    return seconds * np.exp(np.random.default_rng(seed).normal(0, noise, len(matrix)))


def predicting(noise: float = 0.05) -> tuple[WithLatency, genotypes.Matrix]:
    matrix = genotypes.sample(MICRO, latency.COUNT, np.random.default_rng(0))
    fresh = genotypes.sample(MICRO, 500, np.random.default_rng(1))
    return WithLatency(MICRO, matrix, simulated(matrix, noise, 2)), fresh


def test_predictions_rank_what_was_not_measured() -> None:
    """From 64 samples with 5 % noise; the truth of the fresh ones is without."""
    domain, fresh = predicting()
    predicted = domain.statistics(fresh)["latency"]
    assert spearmanr(predicted, simulated(fresh, 0, 0)).statistic > 0.95


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_most_candidates_stay_below_the_prediction(noise: float) -> None:
    """A margin of one standard error: five of six, if the errors were normal and exactly known."""
    domain, fresh = predicting(noise)
    below = simulated(fresh, noise, 3) <= domain.statistics(fresh)["latency"]
    assert 0.7 < below.mean() < 0.97


def test_the_rest_is_the_space() -> None:
    domain, fresh = predicting()
    known = domain.statistics(fresh)
    assert known.keys() == {"macs", "params", "latency"}
    np.testing.assert_array_equal(known["macs"], MICRO.statistics(fresh)["macs"])
    assert domain.distributions == MICRO.distributions
    assert domain.fingerprint == MICRO.fingerprint
    np.testing.assert_array_equal(domain.canonical(fresh), fresh)


def test_the_recipe_has_no_latency() -> None:
    domain, fresh = predicting()
    other = fresh.copy()
    columns = [not name.startswith("recipe.") for name in MICRO.distributions]
    other[:, np.logical_not(columns)] = genotypes.sample(MICRO, 500, np.random.default_rng(5))[
        :, np.logical_not(columns)
    ]
    np.testing.assert_allclose(domain.statistics(other)["latency"], domain.statistics(fresh)["latency"])


def test_samples_are_measured_once_and_kept_by_the_study() -> None:
    measured: list[int] = []

    def pretend(architecture: Any, num_classes: int, device: Any) -> Latency:
        measured.append(num_classes)
        return Latency(*[1e-9 * count(architecture, num_classes=num_classes).macs] * 3, 10)

    def timed(candidate: Any) -> Latency:
        return pretend(candidate.architecture, 10, CPU)

    study = optuna.create_study()
    one = latency_domain(SPACE, study, timed)
    assert measured == [10] * latency.COUNT
    two = latency_domain(SPACE, study, timed)
    assert len(measured) == latency.COUNT
    assert len(study.user_attrs["latency_samples"]) == latency.COUNT
    fresh = genotypes.sample(SPACE, 50, np.random.default_rng(1))
    np.testing.assert_array_equal(one.statistics(fresh)["latency"], two.statistics(fresh)["latency"])


def test_an_interrupted_measurement_of_samples_goes_on_where_it_was() -> None:
    measured: list[int] = []

    def timed(candidate: Any) -> Latency:
        if len(measured) == 20:
            measured.append(0)
            raise KeyboardInterrupt
        measured.append(1)
        return Latency(1e-3 * len(measured), 0.0, 0.0, 10)

    study = optuna.create_study()
    with pytest.raises(KeyboardInterrupt):
        latency_domain(SPACE, study, timed)
    assert len(latency_samples(study)) == 16
    latency_domain(SPACE, study, timed)
    assert sum(measured) == latency.COUNT + 4
    assert len(latency_samples(study)) == latency.COUNT


def test_two_processes_that_measure_at_once_agree() -> None:
    """The samples of the slower one took the place of more, and each learned from its own."""
    study = optuna.create_study()

    def quick(candidate: Any) -> Latency:
        return Latency(1e-3, 0.0, 0.0, 10)

    def slow(candidate: Any) -> Latency:
        if not latency_samples(study):  # meanwhile, another one is done with all
            domains.append(latency_domain(SPACE, study, quick))
        return Latency(2e-3, 0.0, 0.0, 10)

    domains: list[WithLatency] = []
    mine = latency_domain(SPACE, study, slow)
    assert {seconds for _, seconds in latency_samples(study)} == {1e-3}
    fresh = genotypes.sample(SPACE, 5, np.random.default_rng(1))
    theirs = domains[0].statistics(fresh)["latency"]
    np.testing.assert_array_equal(mine.statistics(fresh)["latency"], theirs)


def test_what_cannot_be_built_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """One such candidate of the first 64 ended the search, and every resumption."""
    asked: list[int] = []

    def timed(candidate: Any) -> Latency:
        asked.append(0)
        if len(asked) % 3 == 0:
            raise TrialError("it cannot be built")
        return Latency(1e-3 * len(asked), 0.0, 0.0, 10)

    def refused(candidate: Any) -> Latency:
        raise TrialError("nor this")

    study = optuna.create_study()
    one = latency_domain(SPACE, study, timed)
    two = latency_domain(SPACE, study, timed)
    assert len(asked) == latency.COUNT
    fresh = genotypes.sample(SPACE, 50, np.random.default_rng(1))
    np.testing.assert_array_equal(one.statistics(fresh)["latency"], two.statistics(fresh)["latency"])
    assert caplog.messages.count("a candidate could not be timed: it cannot be built") == latency.COUNT // 3
    with pytest.raises(UsageError, match=r"of 64 random candidates of space .*, 0 could be timed"):
        latency_domain(SPACE, optuna.create_study(), refused)


@pytest.mark.slow
def test_predictions_agree_with_this_machine() -> None:
    """The quickest and the slowest of many, as predicted, also are when measured in turns.

    Perfectly told apart, but in no order within the halves, their rank correlation would be 0.75.
    """
    domain = latency_domain(
        MICRO,
        optuna.create_study(),
        lambda candidate: measure(candidate.architecture, MICRO.num_classes, CPU),
    )
    fresh = genotypes.sample(MICRO, 500, np.random.default_rng(1))
    predicted = domain.statistics(fresh)["latency"]
    order = np.argsort(predicted)
    chosen = np.stack([order[:10], order[-10:]], axis=1).ravel()
    candidates = [MICRO.decode(each).architecture for each in genotypes.to_genotypes(MICRO, fresh[chosen])]
    measured = [measure(each, 10, CPU).low for each in candidates]
    assert spearmanr(measured, predicted[chosen]).statistic > 0.6
