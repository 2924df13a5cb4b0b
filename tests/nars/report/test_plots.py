from __future__ import annotations

import copy
import io
from pathlib import Path

import numpy as np
import pytest
import studies
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState
from PIL import Image

from nars.errors import RunError
from nars.report import plots
from nars.report.style import lowest_shown
from nars.searching.ranking import spearman
from nars.trials import Record

PICTURES = (plots.history, plots.front, plots.predicted, plots.curves)


@pytest.fixture(scope="module")
def trials() -> list[FrozenTrial]:
    return studies.trials(studies.finished(studies.config(32)))


def legend(figure: Figure) -> set[str]:
    return {text.get_text() for each in figure.legends for text in each.get_texts()}


def points(figure: Figure, label: str) -> np.ndarray:
    """Return the coordinates [n, 2] of the points drawn for a legend entry."""
    (found,) = [each for each in figure.axes[0].collections if each.get_label() == label]
    return np.asarray(found.get_offsets())


def test_history_shows_every_trained_trial_once(trials: list[FrozenTrial]) -> None:
    figure = plots.history(trials, phases={"first batch": 0, "predictor": 8})
    states = {
        "trained in full": {t.number for t in trials if t.values and Record.of(t).confirms is None},
        "stopped early": {t.number for t in trials if t.state == TrialState.PRUNED},
        "confirmed with another seed": {t.number for t in trials if Record.of(t).confirms is not None},
        "failed": {5, 12, 19, 26},
    }
    assert legend(figure) == {*states, "best so far"}
    for label, numbers in states.items():
        assert set(points(figure, label)[:, 0]) == numbers
    assert {text.get_text() for text in figure.axes[0].texts} == {"first batch", "predictor"}


def test_best_so_far_rises_to_the_best_unconfirmed_trial(trials: list[FrozenTrial]) -> None:
    figure = plots.history(trials)
    (line,) = [each for each in figure.axes[0].lines if each.get_label() == "best so far"]
    heights = np.asarray(line.get_ydata())
    first = [t.values[0] for t in trials if t.state == TrialState.COMPLETE and Record.of(t).confirms is None]
    assert (np.diff(heights) >= 0).all()
    assert heights[-1] == pytest.approx(100 * max(first))


def test_scores_of_a_function_are_drawn_as_they_are(trials: list[FrozenTrial]) -> None:
    own = copy.deepcopy(trials)
    for trial in own:
        if "accuracy" in trial.user_attrs:
            trial.user_attrs["mine:profit"] = trial.user_attrs["accuracy"]
    for draw, label in ((plots.history, "trained in full"), (plots.predicted, "trial")):
        figure, in_percent = draw(own, "mine:profit"), draw(own)
        assert points(figure, label)[:, 1] == pytest.approx(points(in_percent, label)[:, 1] / 100)
    assert plots.history(own, "mine:profit").axes[0].get_ylabel() == "val mine:profit"
    for draw in (plots.front, plots.curves):
        lines, others = (draw(own, metric).axes[0].lines for metric in ("mine:profit", "accuracy"))
        assert len(lines) == len(others) > 0
        for line, other in zip(lines, others, strict=True):
            assert np.asarray(line.get_ydata()) == pytest.approx(np.asarray(other.get_ydata()) / 100)


def test_front_is_the_undominated_part_in_millions(trials: list[FrozenTrial]) -> None:
    figure = plots.front(trials, others=[plots.Point("baseline", 6e6, 0.7)])
    (line,) = [each for each in figure.axes[0].lines if each.get_label() == "front"]
    macs, scores = np.asarray(line.get_data())
    assert (np.diff(macs) > 0).all()
    assert (np.diff(scores) > 0).all()
    assert 0.1 < macs.min() < macs.max() < 100  # candidates of `micro` have 0.5 to 20 MMACs
    assert points(figure, "baseline").tolist() == [[6.0, 70.0]]
    assert figure.axes[0].get_xlabel() == "MMACs"
    assert "sd over seeds" in legend(figure)
    assert len(points(figure, "candidate")) + len(macs) == len({str(t.params) for t in trials if t.values})


@pytest.mark.parametrize(("cost", "unit"), [("params", "parameters (millions)"), ("latency", "latency (ms)")])
def test_front_of_other_costs(trials: list[FrozenTrial], cost: str, unit: str) -> None:
    assert plots.front(trials, cost=cost).axes[0].get_xlabel() == unit


def test_a_candidate_without_a_cost_is_not_in_the_front(trials: list[FrozenTrial]) -> None:
    bare = copy.deepcopy(trials)
    for trial in bare:
        trial.user_attrs.pop("macs", None)  # as in a damaged study
    assert not plots.front(bare).axes[0].lines


def test_predicted_has_the_rank_correlation_of_unseen_trials(trials: list[FrozenTrial]) -> None:
    guesses, scores, _ = plots.predictions(trials, "accuracy")
    assert len(guesses) == sum(Record.of(t).predicted is not None for t in trials if t.values)
    assert str(spearman(guesses, scores)) in plots.predicted(trials).axes[0].get_title(loc="left")


def test_curves_end_where_training_stopped(trials: list[FrozenTrial]) -> None:
    axes = plots.curves(trials, fraction=0.4).axes[0]
    ends = [float(np.asarray(line.get_xdata())[-1]) for line in axes.lines[:-1]]
    stopped = sum(trial.state == TrialState.PRUNED for trial in trials)
    assert sum(end == 50 for end in ends) == stopped
    assert sum(end == 100 for end in ends) == len(ends) - stopped


def test_scores_below_a_best_one_that_most_have_are_drawn_where_they_are() -> None:
    assert lowest_shown([1.0, 1.0, 1.0, 0.97, 0.95]) == 0.95
    assert lowest_shown([1.0, 1.0, 1.0, 1.0, 0.95]) == 0.95
    assert lowest_shown([0.9, 0.91, 0.92, 0.1]) == 0.9
    assert lowest_shown([0.5, 0.5]) == 0.5


def test_a_wrecked_trial_does_not_squeeze_the_others() -> None:
    fresh = studies.trials(studies.finished(studies.config(16), troubles=False))
    fresh[3].user_attrs["accuracy"] = 0.01
    figure = plots.history(fresh)
    assert len(points(figure, "trained in full, below")) == 1
    assert figure.axes[0].get_ylim()[0] > 30  # the others have 50 % and more


@pytest.mark.parametrize("draw", PICTURES)
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_trials(draw: object, n: int) -> None:
    few = studies.trials(studies.finished(studies.config(16), n, troubles=n != 2))
    assert callable(draw)
    assert plots.to_png(draw(few)).startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", PICTURES)
def test_pictures_are_whole_files_with_the_legend_beside_the_data(
    draw: object, trials: list[FrozenTrial], tmp_path: Path
) -> None:
    assert callable(draw)
    figure = draw(trials)
    plots.save_png(figure, tmp_path / "new" / "picture.png")
    with Image.open(io.BytesIO((tmp_path / "new" / "picture.png").read_bytes())) as image:
        image.load()
        assert image.width >= 1000
    data = figure.axes[0].get_window_extent()
    assert not any(data.overlaps(each.get_window_extent()) for each in figure.legends)
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["picture.png"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        plots.save_png(Figure(), tmp_path / "file" / "x.png")
