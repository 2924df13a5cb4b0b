"""Optuna's own tests of samplers, all of them, on `NarsSampler()`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from nars.sampling.sampler import NarsSampler


class TestOptunasContract(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """The 126 cases that Optuna's samplers of several objectives pass."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return NarsSampler
