"""The best epoch, and when to stop waiting for a better one."""

from __future__ import annotations

import pytest

from nars.training.patience import best_of, is_improved, is_out_of_patience


def test_the_first_of_the_highest_is_the_best() -> None:
    assert best_of([0.1, 0.5, None, 0.5]) == 1
    assert best_of([None]) is None
    assert is_improved([0.1, None, 0.2])
    assert is_improved([0.0])
    assert not is_improved([0.2, 0.2])
    assert not is_improved([0.2, None])
    assert not is_improved([])


@pytest.mark.parametrize(
    ("scores", "patience", "out"),
    [
        ([], 1, False),
        ([0.3], 1, False),
        ([0.3, 0.3], 1, True),
        ([0.3, None, None], 1, False),  # an epoch that was not measured costs no patience
        ([0.3, 0.2, 0.4], 2, False),
        ([0.3, 0.2, 0.1], 2, True),
        ([0.3, 0.2, 0.1, 0.0], 0, False),
    ],
)
def test_patience_counts_measurements(scores: list[float | None], patience: int, out: bool) -> None:
    assert is_out_of_patience(scores, patience) is out
