"""A search domain given by its parts, for tasks without a `nars.space.Space`, and readers of their data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from optuna.distributions import BaseDistribution, distribution_to_json

from experiments.search_benchmark.problem import Array
from nars.errors import DataError, UsageError
from nars.space.dimensions import Dimensions
from nars.space.genotypes import Matrix

__all__ = ["PlainDomain", "digest", "existing", "read_parquet"]


@dataclass(frozen=True)
class PlainDomain:
    """Distributions, with optional functions of a matrix of genotypes [n, d]."""

    distributions: Mapping[str, BaseDistribution]
    canonical_of: Callable[[Matrix], Matrix] | None = None
    """Sets dimensions without effect to their first values."""
    statistics_of: Callable[[Matrix], Mapping[str, Array]] | None = None
    """Statistics [n] by name that cost no training."""

    @cached_property
    def dimensions(self) -> Dimensions:
        return Dimensions.of(self.distributions)

    @property
    def fingerprint(self) -> str:
        text = "".join(f"{name}{distribution_to_json(dist)}" for name, dist in self.distributions.items())
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def canonical(self, matrix: Matrix) -> Matrix:
        return matrix if self.canonical_of is None else self.canonical_of(matrix)

    def statistics(self, matrix: Matrix) -> Mapping[str, Array]:
        return {} if self.statistics_of is None else self.statistics_of(matrix)


def existing(path: Path) -> Path:
    """`path` itself. Raises `DataError` if it does not exist."""
    if not path.exists():
        raise DataError(f"no data at {path}: give its root with --data-root")
    return path


def read_parquet(path: Path) -> pd.DataFrame:
    """A parquet table. Raises `DataError` if the file is missing, `UsageError` if its reader is."""
    try:
        return pd.read_parquet(existing(path))
    except ImportError as error:
        raise UsageError("parquet tables need pyarrow: pip install nars[benchmark]") from error


def digest(path: Path) -> str:
    """A short hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
