"""A cluster of Slurm with one node on this machine, for tests that skip where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.faults.clusters import SlurmCluster


def cluster(folder: Path) -> Iterator[SlurmCluster]:
    """Give a cluster, and end it."""
    try:
        made = SlurmCluster(folder)
    except (FileNotFoundError, TimeoutError) as error:
        pytest.skip(str(error))
    try:
        yield made
    finally:
        made.stop()
