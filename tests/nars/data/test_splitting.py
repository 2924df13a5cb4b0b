"""How images without splits are cut into three."""

from __future__ import annotations

import numpy as np
import pytest

from nars.data.splitting import SHARE, cut


@pytest.mark.parametrize(
    ("sizes", "kept"), [((10, 10), (6, 6)), ((5, 1), (3, 1)), ((2, 3), (1, 1))], ids=["even", "single", "few"]
)
def test_cut_keeps_an_image_of_every_class(sizes: tuple[int, int], kept: tuple[int, int]) -> None:
    labels = np.repeat([0, 1], sizes)
    pieces = cut(labels, 2)
    assert sorted(np.concatenate(pieces)) == list(range(sum(sizes)))
    assert tuple(np.bincount(labels[pieces[0]], minlength=2)) == kept
    assert SHARE == 0.2
