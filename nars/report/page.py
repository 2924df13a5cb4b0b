"""The report of a search: one HTML file with everything in it, pictures, tables and settings."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from matplotlib.figure import Figure
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.files import write_whole
from nars.foreign.parts import counted
from nars.report import html, plots
from nars.report.candidates import candidates_section
from nars.report.confusion import classes_section
from nars.report.insights import calibration, importance, recipes_by_size
from nars.report.style import score_text
from nars.report.winner import winner_section
from nars.runs.config import SearchConfig
from nars.runs.run import Run
from nars.searching.early_stopping import EarlyStopping
from nars.searching.ranking import spearman
from nars.searching.results import front_table
from nars.searching.summary import FineTuned
from nars.studies import reference_record
from nars.trials import Record, counts

__all__ = ["phases", "write_report"]

_FEWEST_TO_CALIBRATE = 10
"""Predicted trials below which the report is silent about calibration."""

_PACKAGES = ("nars", "torch", "torchvision", "optuna", "numpy", "scikit-learn")
"""Packages whose versions a search may depend on."""


def write_report(run: Run, study: Study, output: Path | None = None) -> Path:
    """Write ``report.html`` to a run folder, or `output`; it needs no other file. Raises `RunError`.

    Sections that need more trials than the search has are left out or say so.
    """
    trials = [trial for trial in study.get_trials(deepcopy=False) if counts(trial)]
    config = run.config
    body = [
        _head(run, study, trials),
        winner_section(study, config),
        classes_section(study, config),
        _pictures(study, trials, config),
        _front(study, config),
        candidates_section(trials, config),
        _importance(study, config),
        _recipes(trials, config),
        _trust(trials, config),
        _curves(trials, config),
        _settings(run),
    ]
    path = output or run.folder / "report.html"
    write_whole(path, html.page(f"{run.name}: search report", body))
    return path


def phases(trials: Sequence[FrozenTrial], config: SearchConfig) -> dict[str, int]:
    """Return the phases of a search by name, each with the number of its first trial."""
    first: dict[str, int] = {}
    for trial in filter(counts, trials):
        record = Record.of(trial)
        if record.confirms is not None:
            name = "confirmation"
        elif config.sampler != "nars":
            name = config.sampler
        else:
            name = "first batch" if record.predicted is None else "predictor"
        first.setdefault(name, trial.number)
    return first


def _head(run: Run, study: Study, trials: Sequence[FrozenTrial]) -> str:
    """Return the title, and a table of what was searched and how far the search is."""
    config = run.config
    states = [trial.state for trial in trials]
    number = {
        "trained in full": states.count(TrialState.COMPLETE),
        "stopped early": states.count(TrialState.PRUNED),
        "failed": states.count(TrialState.FAIL),
        "running": states.count(TrialState.RUNNING),
    }
    hours = sum(Record.of(trial).seconds or 0.0 for trial in trials) / 3600
    rows = [
        ("task", f"{config.task} of {config.data}"),
        ("space", f"{config.space.name}, {len(config.space.distributions)} dimensions"),
        ("objectives", ", ".join(config.objectives)),
        ("limits", ", ".join(f"{name} <= {limit:g}" for name, limit in config.limits.items()) or "none"),
        ("budget", str(config.total)),
        ("trials", ", ".join(f"{count} {name}" for name, count in number.items() if count) or "none"),
        ("hours of training", f"{hours:.2f}"),
        *_reference(study, config),
    ]
    return html.heading(run.name) + html.table(["", ""], rows)


def _reference(study: Study, config: SearchConfig) -> list[tuple[str, str]]:
    """Return a row on the fine-tuned parent, if there is one."""
    tuned = FineTuned.of(study, config)
    if tuned is None:
        return []
    pixels = f"{tuned.resolution} pixels, {counted(tuned.epochs, 'epoch')}, {tuned.seconds:.0f} s"
    score = (
        f"val {tuned.metric} {score_text(tuned.score, tuned.metric)}, {tuned.costs['macs'] / 1e6:.1f} M MACs"
    )
    return [("reference", f"{config.init}: {score} ({pixels})")]


def _pictures(study: Study, trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    metric, reference = config.objectives[0], reference_record(study)
    history = plots.history(trials, metric, phases(trials, config))
    costs = dict.fromkeys(["macs", *config.objectives[1:]])
    fronts = [plots.front(trials, metric, cost, _points(reference, metric, cost)) for cost in costs]
    return html.section(
        "Search",
        _image(history, "score of every trial"),
        *(_image(front, "score against cost") for front in fronts),
    )


def _points(reference: Record | None, metric: str, cost: str) -> list[plots.Point]:
    """Return the reference as a point in the picture of the front, if its cost is known."""
    if reference is None or cost not in reference.measured:
        return []
    return [plots.Point("reference", reference.measured[cost], reference.measured[metric])]


def _front(study: Study, config: SearchConfig) -> str:
    table = front_table(study, config)
    names = ["trial", "runs", *dict.fromkeys([*config.objectives, "macs"]), "sd"]
    columns = [name for name in names if name in table]
    rows = table[columns].itertuples(index=False)
    text = "Candidates that no other candidate dominates; a score of several runs is their mean."
    return html.section("Front", html.note(text), html.table(columns, rows))


def _importance(study: Study, config: SearchConfig) -> str:
    result = importance(study, config.seed)
    title = "What matters"
    if result is None:
        text = "Nothing tells the dimensions apart: 10 trials that differ in values and scores are needed."
        return html.section(title, html.note(text))
    above = {name: share for name, share in result.shares.items() if share > result.chance}
    below = {name: share for name, share in result.shares.items() if name not in above}
    text = (
        f"Shares of the score's variance among {result.trials} trials (functional ANOVA). With shuffled "
        f"scores, the recipe as a whole gets {result.recipe_by_chance:.0%} and the largest single dimension "
        f"{result.chance:.1%}: a dimension below that may not matter at all."
    )
    parts = {"architecture": 1 - result.recipe, "recipe": result.recipe}
    folded = html.folded(f"{len(below)} dimensions not above chance", html.bars(below))
    return html.section(title, html.note(text), html.bars(parts), html.bars(above), folded)


def _recipes(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    table = recipes_by_size(trials, config.space)
    if table is None:
        return ""
    text = (
        "Medians and most frequent choices among the best third of the candidates of each size; "
        "lr is the searched value, before the optimizer's factor."
    )
    rows = ([name, *row] for name, row in zip(table.index, table.to_numpy(dtype=object), strict=True))
    return html.section("Recipes that suit", html.note(text), html.table(["", *table.columns], rows))


def _trust(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    metric = config.objectives[0]
    guesses, scores, spreads = plots.predictions(trials, metric)
    title = "How far the predictor can be trusted"
    if not len(scores):
        return html.section(title, html.note("No trial was predicted before it was trained."))
    text = f"{len(scores)} trials, each predicted before it was trained"
    agreement = spearman(guesses, scores)
    if agreement is not None:
        text += f"; rank correlation {agreement}, with the 95% interval in brackets"
    if len(scores) >= _FEWEST_TO_CALIBRATE:
        within_one, within_two = calibration(guesses, scores, spreads)
        text += f"; {within_one:.0%} are within one predicted standard deviation and {within_two:.0%} within "
        text += "two (68% and 95% if calibrated)"
    picture = _image(plots.predicted(trials, metric), "predicted against measured")
    return html.section(title, html.note(f"{text}."), picture)


def _curves(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    rule = EarlyStopping.of(trials) if config.early_stopping else None
    picture = plots.curves(trials, config.objectives[0], rule.fraction if rule else None)
    return html.section("Training curves", _image(picture, "score during training"))


def _settings(run: Run) -> str:
    versions = [("python", platform.python_version()), *((name, version(name)) for name in _PACKAGES)]
    text = (
        "The search in config.yaml of this folder. Run again with the same seed and one worker, it gives "
        "the same result."
    )
    return html.section(
        "To repeat it",
        html.note(text),
        html.code(run.config.to_yaml()),
        html.table(["package", "version"], versions),
    )


def _image(figure: Figure, alt: str) -> str:
    return html.figure(plots.to_png(figure), alt)
