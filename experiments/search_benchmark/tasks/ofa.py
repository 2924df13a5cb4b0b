"""Sub-networks of OFA-MobileNetV3 on ImageNet: 45 dimensions, architecture only.

The truth is a Gaussian process fitted to 2162 distinct networks evaluated with shared weights (on
held-out networks: Kendall's tau 0.97, RMSE 0.05 points). The observation adds the noise of a training.
The measured networks have 123 to 506 M MACs, so limits inside that range are safe. Source:
IntelLabs/DyNAS-T, notebooks/data, Apache-2.0 (its README asks for non-commercial use).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from experiments.search_benchmark import gaussian_process
from experiments.search_benchmark.gaussian_process import GaussianProcess
from experiments.search_benchmark.problem import Array, Problem, Task
from experiments.search_benchmark.tasks.table import PlainDomain, digest, read_parquet
from nars.space.genotypes import Genotype, Matrix
from nars.spec import Architecture, Block

__all__ = ["NAMES", "decode", "domain", "load", "statistics"]

_STAGES, _BLOCKS = 5, 4
"""Stages, and most blocks of a stage."""

_KERNELS, _EXPANSIONS, _DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
"""Choices of a block's kernel and expansion, and of a stage's depth."""

_WIDTHS, _STRIDES, _SE = (24, 40, 80, 112, 160), (2, 2, 2, 1, 2), (False, True, False, True, True)
"""Channels, stride and squeeze-and-excitation of each stage, which are fixed."""

_VARIANTS = {
    f"ofa-imagenet-{limit}M-n{noise}": (limit * 1e6, noise) for limit in (280, 230) for noise in (0.1, 0.3)
}
"""Name -> most MACs and the noise's standard deviation in points."""

NAMES = tuple(_VARIANTS)
"""The tasks of this family."""


def load(name: str, data_root: Path) -> Task:
    """One of `NAMES`. Raises `DataError` if the table is absent."""
    path = data_root / "nas" / "ofa_mbv3_imagenet.parquet"
    limit, noise = _VARIANTS[name]
    source, truth = digest(path) if path.exists() else "", _surrogate(path)

    def train(matrix: Matrix, rng: np.random.Generator) -> tuple[Array, Array]:
        scores = truth.score(matrix)
        return scores, scores + rng.normal(0, noise, len(matrix))

    return Task(name, Problem(domain(), {"macs": limit}), truth.score, train, source)


def domain() -> PlainDomain:
    """The space of Once-for-All (Cai et al., ICLR 2020) at width 1.0 and 224 pixels."""
    dimensions: dict[str, BaseDistribution] = {}
    for stage in range(_STAGES):
        dimensions[f"stage{stage}.depth"] = CategoricalDistribution(_DEPTHS)
    for stage, block in _positions():
        dimensions[f"stage{stage}.block{block}.kernel"] = CategoricalDistribution(_KERNELS)
        dimensions[f"stage{stage}.block{block}.expansion"] = CategoricalDistribution(_EXPANSIONS)
    return PlainDomain(dimensions, canonical_of=_canonical, statistics_of=statistics)


def decode(genotype: Genotype) -> Architecture:
    """The architecture of a genotype, with hard swish everywhere; the source has ReLU in two stages."""
    stem = Block(op="conv", kernel=3, channels=16, stride=2)
    stages = [[stem, Block(op="mbconv", kernel=3, channels=16, expansion=1)]]
    for stage in range(_STAGES):
        rows = []
        for block in range(genotype[f"stage{stage}.depth"]):
            name = f"stage{stage}.block{block}"
            rows.append(
                Block(
                    op="mbconv",
                    kernel=genotype[f"{name}.kernel"],
                    expansion=genotype[f"{name}.expansion"],
                    channels=_WIDTHS[stage],
                    stride=_STRIDES[stage] if block == 0 else 1,
                    se="hsigmoid" if _SE[stage] else "none",
                    squeeze="hidden",
                )
            )
        stages.append(rows)
    head = Block(op="mbpool", expansion=6, channels=1280)
    return Architecture(name="ofa", resolution=224, stages=[*stages, [head]])


def statistics(matrix: Matrix) -> dict[str, Array]:
    """MACs and parameters [n] of complete networks, equal to the source's columns to the last digit."""
    indices = matrix.astype(np.int64)
    outside, blocks = _costs()
    absent = _absent(matrix)
    per_block = blocks[:, np.arange(len(blocks[0])), indices[:, _STAGES::2], indices[:, _STAGES + 1 :: 2]]
    macs, params = outside[:, None] + (per_block * ~absent).sum(axis=2)
    return {"macs": macs, "params": params}


@cache
def _costs() -> tuple[Array, Array]:
    """MACs and parameters outside the blocks [2], and of each block [2, blocks, kernels, expansions]."""
    side, channels = 112, 16
    first = 27 * 16 + 9 * 16 + 16 * 16  # stem and first block
    outside = np.array([first * side**2, first + 3 * 2 * 16])
    kernels, expansions = np.array(_KERNELS)[:, None], np.array(_EXPANSIONS)
    blocks = []
    for stage, block in _positions():
        width, hidden = _WIDTHS[stage], channels * expansions
        out_side = side // (_STRIDES[stage] if block == 0 else 1)
        squeezed = _round8(hidden // 4) * _SE[stage]
        excite = 2 * hidden * squeezed
        macs = channels * hidden * side**2 + (kernels**2 + width) * hidden * out_side**2 + excite
        params = (channels + kernels**2 + width + 4) * hidden + 2 * width + excite
        blocks.append((macs, params + (squeezed + hidden) * _SE[stage]))
        side, channels = out_side, width
    head, classifier = 160 * 960, 960 * 1280 + 1280 * 1000
    outside += head * side**2 + classifier, head + 2 * 960 + classifier + 1000
    return outside.astype(np.float64), np.array(blocks, dtype=np.float64).swapaxes(0, 1)


class _Surrogate:
    """Predicts accuracy from MACs and one-hot choices, which are zero for absent blocks."""

    def __init__(self, table: pd.DataFrame) -> None:
        matrix, top1 = _canonical(_read(table)), table["top1"].to_numpy(np.float64)
        distinct, inverse = np.unique(matrix, axis=0, return_inverse=True)
        means = np.bincount(inverse, top1) / np.bincount(inverse)
        macs = statistics(distinct)["macs"]
        self._centre, self._spread = macs.mean(), macs.std()
        groups = self._groups(distinct)
        some = np.random.default_rng(0).permutation(len(distinct))[:500]  # enough for three hyperparameters
        hyper = gaussian_process.fit_hyperparameters([group[some] for group in groups], means[some])
        self._process: GaussianProcess = gaussian_process.fit(groups, means, hyper)

    def score(self, matrix: Matrix) -> Array:
        return self._process.predict(self._groups(_canonical(matrix)))

    def _groups(self, matrix: Matrix) -> list[Array]:
        choices = np.eye(3)[matrix.astype(np.int64)]
        choices[:, _STAGES:] *= 1 - np.repeat(_absent(matrix), 2, axis=1)[:, :, None]
        macs = (statistics(matrix)["macs"] - self._centre) / self._spread
        return [choices.reshape(len(matrix), -1), macs[:, None]]


@cache
def _surrogate(path: Path) -> _Surrogate:
    return _Surrogate(read_parquet(path))


def _positions() -> Iterator[tuple[int, int]]:
    return ((stage, block) for stage in range(_STAGES) for block in range(_BLOCKS))


def _absent(matrix: Matrix) -> NDArray[np.bool_]:
    """Whether blocks [n, blocks] are beyond their stage's depth."""
    depth = np.array(_DEPTHS)[matrix[:, :_STAGES].astype(np.int64)]
    return np.asarray((np.arange(_BLOCKS) >= depth[:, :, None]).reshape(len(matrix), _STAGES * _BLOCKS))


def _canonical(matrix: Matrix) -> Matrix:
    """Genotypes [n, d] with absent blocks at their first values."""
    blocks = np.where(np.repeat(_absent(matrix), 2, axis=1), 0.0, matrix[:, _STAGES:])
    return np.concatenate([matrix[:, :_STAGES], blocks], axis=1)


def _read(table: pd.DataFrame) -> Matrix:
    depth = [np.searchsorted(_DEPTHS, table[f"d{stage}"]) for stage in range(_STAGES)]
    blocks = [
        np.searchsorted(choices, table[f"{key}{index:02d}"])
        for index in range(_STAGES * _BLOCKS)
        for key, choices in (("ks", _KERNELS), ("e", _EXPANSIONS))
    ]
    return np.stack([*depth, *blocks], axis=1).astype(np.float64)


def _round8(width: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest multiple of 8, halves up; the next one if that loses more than 10 %."""
    nearest = np.maximum(8, (width + 4) // 8 * 8)
    return np.where(nearest < 0.9 * width, nearest + 8, nearest)
