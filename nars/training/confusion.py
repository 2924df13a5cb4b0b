"""Computes from a confusion matrix the scores of each class, and the most frequent confusions.

A matrix has the numbers of images [K, K]: a row for each class, a column for each answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

__all__ = ["Classes", "Confused", "classes_of", "most_confused"]

Shares = tuple[float | None, ...]


@dataclass(frozen=True)
class Classes:
    """The scores of each class; a share is None if it is undefined (0 of 0)."""

    recall: Shares
    """None for a class without an image."""
    precision: Shares
    """None for a class that was never answered."""
    f1: Shares
    """None for a class that has no image and was never answered."""
    images: tuple[int, ...]


class Confused(NamedTuple):
    """A class, by its number, and another one that its images are taken for."""

    label: int
    answer: int
    images: int
    """Images of class `label` that were classified as `answer`."""


def classes_of(confusion: Sequence[Sequence[int]]) -> Classes:
    """The scores of each class [K]."""
    matrix = np.asarray(confusion)
    labels, answers = matrix.nonzero()
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels,
        answers,
        labels=range(len(matrix)),
        sample_weight=matrix[labels, answers],
        zero_division=np.nan,
    )
    images = tuple(matrix.sum(1).tolist())
    return Classes(_defined(recall), _defined(precision), _defined(f1), images)


def most_confused(confusion: Sequence[Sequence[int]], most: int) -> list[Confused]:
    """The `most` most frequent confusions of different classes, the most frequent first."""
    matrix = np.array(confusion)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:most]
    pairs = (divmod(cell, len(matrix)) for cell in order.tolist())
    return [
        Confused(label, answer, int(matrix[label, answer]))
        for label, answer in pairs
        if matrix[label, answer]
    ]


def _defined(values: NDArray[np.float64]) -> Shares:
    """Values [K] with None for NaN."""
    return tuple(None if math.isnan(value) else value for value in values.tolist())
