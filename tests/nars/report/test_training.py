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


def test_scores_that_are_no_shares_have_an_axis_that_shows_them() -> None:
    figure = draw_training(
        {"loss": [1.0, 0.5]}, {"accuracy": [0.5, 0.6], "profit": [-9.0, 862.5]}, main="loss"
    )
    _, right, own = figure.axes
    assert [line.get_label() for line in right.lines] == ["accuracy"]
    assert right.get_ylim() == (0, 1)
    (line,) = own.lines
    assert line.get_xydata().tolist() == [[1.0, -9.0], [2.0, 862.5]]
    low, high = own.get_ylim()
    assert low < -9 < 862.5 < high
    assert own.get_ylabel() == "profit"
