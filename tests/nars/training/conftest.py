"""What the tests of trainings share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from shades import shades

from nars.data import ImageData


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return shades()
