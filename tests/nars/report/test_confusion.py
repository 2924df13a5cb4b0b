from __future__ import annotations

import pytest
import studies

from nars.report.confusion import classes_section, confusion
from nars.report.style import to_png
from nars.searching.results import winner
from nars.studies import write_class_names
from nars.trials import Record

MATRIX = [[8, 2, 0], [1, 5, 0], [0, 0, 0]]


def test_the_winner_is_drawn_by_the_trial_with_the_median_score() -> None:
    search = studies.config(32)
    study = studies.finished(search)
    best = winner(study, search)
    assert len(best.numbers) > 1
    for number in best.numbers:
        hits = 8 if number == best.median else 9
        matrix = [[hits, 10 - hits, 0], *MATRIX[1:]]
        record = Record(confusion=matrix, measured={"macro_f1": 0.3125 if hits == 8 else 0.9})
        study.get_trials(deepcopy=False)[number].user_attrs.update(record.attributes)
    section = classes_section(study, search)
    assert f"Trial {best.median} on val:" in section
    assert "macro_f1 31.25%" in section
    assert '<td>0</td><td>1</td><td class="number">2</td><td>20%</td>' in section  # of ten images
    assert section.count("<img") == 1
    write_class_names(study, ["a", "<b>", "c"])
    section = classes_section(study, search)
    assert "<td>a</td><td>&lt;b&gt;</td>" in section
    assert section.index('<td>&lt;b&gt;</td><td class="number">6</td>') < section.index(
        '<td>c</td><td class="number">0</td>'
    )


def test_without_a_matrix_there_is_no_section() -> None:
    search = studies.config(32)
    assert classes_section(studies.finished(search), search) == ""
    assert classes_section(studies.finished(search, 0), search) == ""


def test_cells_are_coloured_by_the_share_of_the_class() -> None:
    axes = confusion(MATRIX, ["a", "b", "never seen"]).axes[0]
    shares = axes.images[0].get_array()
    assert shares is not None
    assert shares.flatten().tolist() == pytest.approx([0.8, 0.2, 0, 1 / 6, 5 / 6, 0, 0, 0, 0])
    numbers = {(text.get_position(), text.get_text()) for text in axes.texts}
    assert numbers == {((0, 0), "8"), ((1, 0), "2"), ((0, 1), "1"), ((1, 1), "5")}


def test_names_are_drawn_as_they_are() -> None:
    figure = confusion([[1, 0], [0, 1]], ["$x_$ $", "a" * 40])
    assert to_png(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["$x_$ $", "a" * 21 + "..."]


def test_names_that_cannot_be_drawn_are_escaped() -> None:
    figure = confusion([[1, 0], [0, 1]], ["a\udcff", "two\nlines"])
    assert to_png(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a\\udcff", "two\\nlines"]
