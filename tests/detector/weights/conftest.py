import pytest
from small_checkpoints import QUICK, SMALL, scrambled
from torch import nn

import detector


@pytest.fixture
def small() -> nn.Module:
    """A small detector of three classes with random numbers in every tensor."""
    return scrambled(detector.build(SMALL, 3, settings=QUICK))
