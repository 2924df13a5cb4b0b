"""What the tests of trainings share."""

from __future__ import annotations

import pytest
from shades import shades

from nars.data import ImageData


@pytest.fixture(scope="module")
def data() -> ImageData:
    return shades()
