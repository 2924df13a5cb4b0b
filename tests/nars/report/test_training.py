"""The picture of one training."""

from __future__ import annotations

from nars.report.training import draw_training


def test_losses_and_scores_are_drawn_where_they_were_measured() -> None:
    figure = draw_training(
        {"sum": [3.0, 2.0, 1.0], "box": [1.0, 1.0, 0.5]}, {"AP": [None, 0.2, 0.4]}, main="sum"
    )
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["sum", "box"]
    assert left.lines[0].get_linewidth() > left.lines[1].get_linewidth()
    assert right.lines[0].get_xydata().tolist() == [[2.0, 0.2], [3.0, 0.4]]


def test_a_training_without_scores_is_drawn() -> None:
    assert len(draw_training({"loss": [1.0]}, {}, main="loss").axes) == 2
