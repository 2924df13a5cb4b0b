"""The architecture encoder, pretrained on statistics that cost no training.

An MLP embeds the encoded architecture such that MACs and parameters can be read off its
embedding. It initializes the accuracy predictor, whose few labels then need to teach it only
what cost does not explain (FBNetV3, CVPR 2021, section 3.2). Pretraining takes seconds and is
cached on disk, so the workers and restarts of a search share one encoder.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from optuna.distributions import distribution_to_json
from scipy.stats import qmc
from torch import Tensor, nn

from nars.errors import RunError, UsageError, WeightsError
from nars.files import cache_folder
from nars.space.dimensions import is_recipe
from nars.space.genotypes import Domain, Matrix, is_architecture_feature
from nars.tensors import read_tensors, write_tensors

__all__ = ["EMBEDDING", "Encoder", "Statistic", "architectures", "pretrain", "untrained"]

logger = logging.getLogger(__name__)

Statistic = Callable[[Matrix], NDArray[np.float64]]
"""A positive statistic [n] of the architectures of genotypes [n, d], such as a measured latency."""

EMBEDDING = 32
"""Units of the embedding."""

_HIDDEN = 128
"""Units of the layer before it."""

_BATCH = 512
"""Architectures of one training step."""

_LEARNING_RATE = 1e-2
"""Largest learning rate of pretraining, under a one-cycle schedule."""

_SCHEMA = 1
"""Version of the cached files; another one pretrains anew."""

_PROBES = 256
"""Architectures whose statistics identify what an encoder has learned."""


class Encoder(nn.Module):
    """Maps architecture features [n, f] to an embedding [n, `EMBEDDING`] and statistics [n, t].

    Every unit of the embedding is standardized over the space, and so are the statistics, which
    are the logarithms of those that `names` lists.
    """

    input_mean: Tensor
    input_std: Tensor
    unit_mean: Tensor
    unit_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, inputs: int, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.hidden = nn.Linear(inputs, _HIDDEN)
        self.embedding = nn.Linear(_HIDDEN, EMBEDDING)
        self.head = nn.Parameter(torch.zeros(len(names), EMBEDDING))
        self.head_bias = nn.Parameter(torch.zeros(len(names)))
        sizes = {"input": inputs, "unit": EMBEDDING, "target": len(names)}
        for name, size in sizes.items():
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.silu(self.hidden((x - self.input_mean) / self.input_std))
        units = F.silu(self.embedding(hidden))
        statistics = F.linear(units, self.head, self.head_bias)
        return (units - self.unit_mean) / self.unit_std, statistics

    @torch.no_grad()
    def measure(self, kind: str, values: Tensor) -> None:
        """Standardize inputs, units or targets by the mean and deviation of `values` [n, k]."""
        std = values.std(dim=0, correction=0)
        getattr(self, f"{kind}_mean").copy_(values.mean(dim=0))
        getattr(self, f"{kind}_std").copy_(torch.where(std < 1e-6, 1.0, std))


def pretrain(
    domain: Domain,
    *,
    samples: int = 65536,
    steps: int = 512,
    seed: int = 0,
    targets: Mapping[str, Statistic] | None = None,
    cache: str | Path | None = None,
) -> Encoder:
    """An encoder that predicts the statistics of a quasi-Monte-Carlo sample of architectures.

    - `samples`: architectures to learn from.
    - `steps`: training steps of 512 architectures each, which repeat a small sample many times.
    - `targets`: further statistics to learn besides those of the domain.
    - `cache`: folder of finished encoders; by default that of the environment variable
      ``NARS_CACHE``, else ``$XDG_CACHE_HOME/nars``, else ``~/.cache/nars``.

    A cached encoder is identified by what it learned from: architecture dimensions, the statistics
    of some probes, settings and seed. Raises `UsageError` for a domain with nothing to learn, and
    for a statistic that is not positive.
    """
    if not is_architecture_feature(domain).any():
        raise UsageError("no architecture dimension is open: there is nothing to encode")
    folder = Path(cache) if cache is not None else cache_folder()
    known = _read_targets(domain, architectures(domain, _PROBES, seed=0), targets or {})
    settings = [_SCHEMA, EMBEDDING, _HIDDEN, _BATCH, _LEARNING_RATE, samples, steps, seed]
    path = folder / f"encoder-{_key(domain, known, settings)}.pt"
    encoder = _random(int(is_architecture_feature(domain).sum()), tuple(known), seed)
    if _restore(encoder, path):
        return encoder
    matrix = architectures(domain, samples, seed)
    statistics = np.stack(list(_read_targets(domain, matrix, targets or {}).values()), axis=1)
    _train(encoder, _inputs(domain, matrix), torch.from_numpy(np.log(statistics)).float(), steps, seed)
    _save(encoder, path)
    return encoder


def untrained(domain: Domain, seed: int = 0) -> Encoder:
    """An encoder with random weights, with which pretraining is compared."""
    x = _inputs(domain, architectures(domain, 1024, seed))
    encoder = _random(x.shape[1], (), seed)
    encoder.measure("input", x)
    encoder.measure("unit", encoder(x)[0].detach())
    return encoder


def _random(inputs: int, names: tuple[str, ...], seed: int) -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(inputs, names)


def architectures(domain: Domain, n: int, seed: int) -> Matrix:
    """Genotypes [n, d] of evenly spread architectures; the recipe is the same in all."""
    searched = ~domain.dimensions.recipe
    bits = max(1, int(np.ceil(np.log2(n))))
    unit = np.zeros((n, len(searched)))
    sobol = qmc.Sobol(int(searched.sum()), rng=np.random.default_rng(seed))
    unit[:, searched] = sobol.random_base2(bits)[:n]
    return domain.canonical(domain.dimensions.from_unit(unit))


def _inputs(domain: Domain, matrix: Matrix) -> Tensor:
    return torch.from_numpy(domain.dimensions.features(matrix)[:, is_architecture_feature(domain)])


def _read_targets(
    domain: Domain, matrix: Matrix, further: Mapping[str, Statistic]
) -> dict[str, NDArray[np.float64]]:
    """All statistics [n] of genotypes [n, d], checked to be positive."""
    values = {**domain.statistics(matrix), **{name: target(matrix) for name, target in further.items()}}
    if not values:
        raise UsageError("the space has no statistics to pretrain on")
    for name, value in values.items():
        if not (np.isfinite(value).all() and (value > 0).all()):
            raise UsageError(f"statistic {name} must be positive and finite, got {value.min():g}")
    return values


def _train(encoder: Encoder, x: Tensor, y: Tensor, steps: int, seed: int) -> None:
    encoder.measure("input", x)
    encoder.measure("target", y)
    y = (y - encoder.target_mean) / encoder.target_std
    shuffle = torch.Generator().manual_seed(seed)
    batch = min(_BATCH, len(x))
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    epochs = (torch.randperm(len(x), generator=shuffle).split(batch) for _ in range(steps))
    for chosen in itertools.islice(itertools.chain.from_iterable(epochs), steps):
        loss = F.huber_loss(encoder(x[chosen])[1], y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    encoder.measure("unit", encoder(x)[0].detach())
    logger.info("pretrained on %s: last loss %.2g", ", ".join(encoder.names), loss.item())


def _key(domain: Domain, probes: Mapping[str, NDArray[np.float64]], settings: list[Any]) -> str:
    """A digest of everything that training depends on; recipe dimensions are not part of it."""
    dimensions = {
        name: distribution_to_json(dist) for name, dist in domain.distributions.items() if not is_recipe(name)
    }
    numbers = {name: [float(f"{value:.9g}") for value in values] for name, values in probes.items()}
    return hashlib.sha256(json.dumps([settings, dimensions, numbers]).encode()).hexdigest()[:24]


def _restore(encoder: Encoder, path: Path) -> bool:
    """Load a cached state; False if there is none that fits."""
    if not path.exists():
        return False
    try:
        state = read_tensors(path)
        encoder.load_state_dict(state)
    except (WeightsError, RuntimeError, TypeError, AttributeError) as error:
        logger.warning("ignoring %s, pretraining again: %s", path, str(error).partition("\n")[0])
        return False
    return True


def _save(encoder: Encoder, path: Path) -> None:
    try:
        write_tensors(path, encoder.state_dict())
    except RunError as error:
        logger.warning("the pretrained encoder is not cached: %s", error)
