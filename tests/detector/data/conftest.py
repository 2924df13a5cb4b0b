from __future__ import annotations

from pathlib import Path

import folders
import pytest
from spoiled import SPOILED


@pytest.fixture(params=SPOILED)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, int], int | None]:
    spoil, codes, id = SPOILED[request.param]
    return folders.coco(tmp_path / "data", spoil), codes, id
