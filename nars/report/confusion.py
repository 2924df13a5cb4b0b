"""The section of a report on the winner's classes: its confusion matrix on val, and each class's scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from optuna.study import Study

from nars.errors import RunError
from nars.foreign.names import printable
from nars.report import html
from nars.report.style import to_png
from nars.runs.config import SearchConfig
from nars.searching.results import winner
from nars.studies import class_names
from nars.training.confusion import classes_of, most_confused
from nars.trials import SCORES, Record

__all__ = ["classes_section", "confusion"]

_COUNTED = 20
"""Classes up to which the cells of the picture have their numbers."""

_NAME = 24
"""Characters of a class's name that the picture shows."""

_SHOWN = 10
"""Mistakes in the table of the most frequent ones."""


def classes_section(study: Study, config: SearchConfig) -> str:
    """Return the section of the winner's classes; empty if there is no confusion matrix.

    The matrix is that of the run with the median score.
    """
    try:
        number = winner(study, config).median
    except RunError:
        return ""
    record = Record.of(study.get_trials(deepcopy=False)[number])
    if record.confusion is None:
        return ""
    names = class_names(study) or [str(label) for label in range(len(record.confusion))]
    scores = [f"{name} {record.measured[name]:.2%}" for name in SCORES if name in record.measured]
    each = classes_of(record.confusion)
    rows = sorted(zip(names, each.images, each.recall, each.precision, each.f1, strict=True), key=_by_f1)
    text = f"Trial {number} on val: {', '.join(scores)}. Rows are classes, columns are answers."
    return html.section(
        "Classes of the winner",
        html.note(text),
        html.figure(to_png(confusion(record.confusion, names)), "confusion matrix"),
        *_mistakes(record.confusion, names),
        html.folded("every class", html.table(["class", "images", "recall", "precision", "F1"], rows)),
    )


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> Figure:
    """Draw a confusion matrix [K, K]: numbers of images, coloured by their share of the class."""
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(max(4.0, 0.42 * len(counts) + 1.6), 11.0)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 9 if len(counts) <= _COUNTED else 6
    texts = map(printable, names)
    labels = [name if len(name) <= _NAME else f"{name[: _NAME - 3]}..." for name in texts]
    axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(range(len(names)), labels, fontsize=size, parse_math=False)
    axes.set_xlabel("answer")
    axes.set_ylabel("class")
    for row, column in zip(*counts.nonzero(), strict=True) if len(counts) <= _COUNTED else ():
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8, color=color)
    return figure


def _mistakes(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> list[str]:
    """Return a table of the most frequent mistakes, if there are any."""
    mistakes = most_confused(matrix, _SHOWN)
    rows = [
        (names[label], names[answer], images, f"{images / sum(matrix[label]):.0%}")
        for label, answer, images in mistakes
    ]
    head = ["class", "taken for", "images", "of its images"]
    return [html.table(head, rows)] if rows else []


def _by_f1(row: tuple[str, int, float | None, float | None, float | None]) -> float:
    """Order classes from the lowest F1; those that are not in the split come last."""
    return 2.0 if row[-1] is None else row[-1]
