"""Latency of networks on this machine: measured, or predicted for networks not built yet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import Study
from sklearn.linear_model import RidgeCV
from torch import nn

from nars.device import memory_errors
from nars.errors import TrialError, UsageError
from nars.networks.build import build
from nars.space import genotypes
from nars.space.base import SearchSpace
from nars.space.dimensions import Dimensions
from nars.space.genotypes import Matrix
from nars.spec import Architecture, Trainable
from nars.studies import latency_samples, write_latency_samples

__all__ = ["Latency", "WithLatency", "latency_domain", "measure", "time_forward"]

logger = logging.getLogger(__name__)

COUNT = 64
"""Architectures that are measured to fit the prediction of latency."""

_FEWEST = 8
"""Measured architectures below which nothing is predicted."""

_KEPT_AT_ONCE = 8
"""Measurements that an interruption may lose."""


@dataclass(frozen=True)
class Latency:
    """Seconds of one forward pass of one image."""

    median: float
    low: float
    """Lower quartile."""
    high: float
    """Upper quartile."""
    runs: int


def measure(
    architecture: Architecture,
    num_classes: int,
    device: torch.device,
    *,
    resolution: int | None = None,
    seconds: float = 0.3,
) -> Latency:
    """Build the network and time it for about `seconds`, with as many threads as PyTorch is set to.

    Raises `TrialMemoryError`.
    """
    side = resolution or architecture.resolution
    with memory_errors(f"measuring latency at {side} px"):
        model = build(architecture, num_classes).eval().to(device).to(memory_format=torch.channels_last)
        image = torch.zeros(1, architecture.in_channels, side, side, device=device)
        return time_forward(model, image.contiguous(memory_format=torch.channels_last), seconds=seconds)


@torch.inference_mode()
def time_forward(model: nn.Module, images: torch.Tensor, *, seconds: float = 0.3, least: int = 10) -> Latency:
    """Time `model(images)` after a warm-up, for about `seconds` and at least `least` times."""
    on_gpu = images.device.type == "cuda"
    for _ in range(3):
        model(images)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        if on_gpu:
            torch.cuda.synchronize(images.device)
        start = time.perf_counter()
        model(images)
        if on_gpu:
            torch.cuda.synchronize(images.device)
        times.append(time.perf_counter() - start)
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
    return Latency(float(median), float(low), float(high), len(times))


class WithLatency:
    """A space whose statistics include a predicted ``latency`` in seconds.

    It is a `nars.space.genotypes.Domain`. A ridge regression predicts the logarithm of the latency
    from an architecture's features, MACs and parameters; it is fitted to measured samples. The
    prediction adds a margin of one standard error (on samples left out), because a sampler seeks
    out whatever is predicted too low. A limit on latency is checked by a measurement before a
    candidate is trained; the prediction only keeps proposals near the limit.
    """

    def __init__(self, space: SearchSpace, matrix: Matrix, seconds: NDArray[np.float64]) -> None:
        self.space = space
        self._model = RidgeCV(alphas=np.logspace(-3, 3, 13)).fit(self._inputs(matrix), np.log(seconds))
        self._margin = float(np.sqrt(-self._model.best_score_))

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return self.space.distributions

    @property
    def dimensions(self) -> Dimensions:
        return self.space.dimensions

    @property
    def default_recipe(self) -> Mapping[str, Any]:
        """That of the space, by flat name."""
        return self.space.default_recipe

    @property
    def fingerprint(self) -> str:
        return self.space.fingerprint

    def canonical(self, matrix: Matrix) -> Matrix:
        return self.space.canonical(matrix)

    def statistics(self, matrix: Matrix) -> dict[str, NDArray[np.float64]]:
        latency: NDArray[np.float64] = np.exp(self._model.predict(self._inputs(matrix)) + self._margin)
        return self.space.statistics(matrix) | {"latency": latency}

    def _inputs(self, matrix: Matrix) -> NDArray[np.float64]:
        statistics = np.log(np.stack(list(self.space.statistics(matrix).values()), axis=1))
        described = self.space.dimensions.features(matrix)
        architecture = described[:, genotypes.is_architecture_feature(self.space)]
        return np.concatenate([statistics, architecture], axis=1)


def latency_domain(space: SearchSpace, study: Study, timed: Callable[[Trainable], Latency]) -> WithLatency:
    """The space with latency, learned from the samples in the study; as many as it lacks are `timed`.

    Architectures that cannot be built or timed (`TrialError`) are left out. Raises `UsageError` if too few
    remain.
    """
    if len(latency_samples(study)) < COUNT:
        logger.info("measuring the latency of %d architectures", COUNT)
        matrix = genotypes.sample(space, COUNT, np.random.default_rng(0))
    while len(samples := latency_samples(study)) < COUNT:
        drawn = matrix[len(samples) : len(samples) + _KEPT_AT_ONCE]
        medians = [_median(timed, space.decode(each)) for each in genotypes.to_genotypes(space, drawn)]
        if len(latency_samples(study)) == len(samples):  # another process may have measured them meanwhile
            write_latency_samples(study, [*samples, *zip(drawn.tolist(), medians, strict=True)])
    known = [(row, seconds) for row, seconds in samples if seconds is not None]
    if len(known) < _FEWEST:
        raise UsageError(f"of {COUNT} random candidates of space {space.name}, {len(known)} could be timed")
    rows, seconds = zip(*known, strict=True)
    return WithLatency(space, np.array(rows, dtype=np.float64), np.array(seconds))


def _median(timed: Callable[[Trainable], Latency], candidate: Trainable) -> float | None:
    """Seconds of a candidate; None, and a line that says why, if it cannot be timed."""
    try:
        return timed(candidate).median
    except TrialError as error:
        logger.warning("a candidate could not be timed: %s", error)
        return None
