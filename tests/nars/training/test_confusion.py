from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from nars.training.confusion import classes_of, most_confused

MATRIX = [[2, 1, 0, 0], [0, 0, 3, 0], [1, 0, 4, 0], [0, 0, 0, 0]]


def test_scores_of_classes_by_hand() -> None:
    each = classes_of(MATRIX)
    assert each.recall == (2 / 3, 0.0, 4 / 5, None)
    assert each.precision == (2 / 3, 0.0, 4 / 7, None)
    assert each.f1 == pytest.approx((2 / 3, 0.0, 8 / 12, None))
    assert each.images == (3, 3, 5, 0)


def test_scores_of_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(7, size=(2, 200))
    each = classes_of(confusion_matrix(labels, answers).tolist())
    scores = [(each.recall, recall_score), (each.precision, precision_score), (each.f1, f1_score)]
    for mine, theirs in scores:
        assert mine == tuple(theirs(labels, answers, average=None))


def test_a_class_that_is_never_answered_has_no_precision() -> None:
    each = classes_of([[0, 2], [0, 3]])
    assert each.precision == (None, 0.6)
    assert each.recall == (0.0, 1.0)
    assert each.f1[0] == 0.0


def test_the_most_frequent_mistakes_come_first() -> None:
    assert most_confused(MATRIX, 2) == [(1, 2, 3), (0, 1, 1)]
    assert most_confused(MATRIX, 9) == [(1, 2, 3), (0, 1, 1), (2, 0, 1)]
    assert most_confused([[2, 0], [0, 1]], 3) == []
