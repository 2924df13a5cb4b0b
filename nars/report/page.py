"""One HTML file about a search, with everything in it: pictures, tables, settings."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.errors import RunError
from nars.files import write_whole
from nars.networks.profile import profile
from nars.report import html, plots
from nars.report.insights import calibration, importance, recipes_by_size
from nars.sampling.rounds import FIRST_BATCH
from nars.searching.config import SearchConfig
from nars.searching.confirm import Measured, measured
from nars.searching.early_stopping import TAUGHT_BY, EarlyStopping
from nars.searching.ranking import spearman
from nars.searching.results import best_candidate, front_table, winner
from nars.searching.run import Run
from nars.spec import Architecture, Block, Recipe
from nars.trials import Record, counts

__all__ = ["phases", "write_report"]

TOP = 10
PACKAGES = ("nars", "torch", "torchvision", "optuna", "numpy", "scikit-learn")


def write_report(run: Run, study: Study) -> Path:
    """Write ``report.html`` of a run folder; it needs no other file. Raises `RunError`.

    What a search has too few trials for is left out, and the page says so.
    """
    trials = [trial for trial in study.get_trials(deepcopy=False) if counts(trial)]
    config = run.config
    body = [
        _head(run, trials),
        _winner(study, config),
        _pictures(trials, config),
        _front(study, config),
        _candidates(trials, config),
        _importance(study, config),
        _recipes(trials, config),
        _trust(trials, config),
        _curves(trials, config),
        _settings(run),
    ]
    path = run.folder / "report.html"
    write_whole(path, html.page(f"{run.name}: search report", body))
    return path


def phases(trials: Sequence[FrozenTrial], config: SearchConfig) -> dict[str, int]:
    """The parts of a search by name, each with the number of its first trial."""
    found: dict[str, int] = {}
    trained = [trial for trial in trials if counts(trial)]
    for at, trial in enumerate(trained):
        if Record.of(trial).confirms is not None:
            name = "confirmation"
        elif config.sampler != "nars":
            name = config.sampler
        elif at < FIRST_BATCH:
            name = "first batch"
        else:
            name = "predictor"
        found.setdefault(name, trial.number)
    return found


def _head(run: Run, trials: Sequence[FrozenTrial]) -> str:
    config = run.config
    states = [trial.state for trial in trials]
    number = {
        "trained in full": states.count(TrialState.COMPLETE),
        "stopped early": states.count(TrialState.PRUNED),
        "failed": states.count(TrialState.FAIL),
        "running": states.count(TrialState.RUNNING),
    }
    done = ", ".join(f"{count} {name}" for name, count in number.items() if count) or "none"
    hours = sum(Record.of(trial).seconds or 0.0 for trial in trials) / 3600
    limits = ", ".join(f"{name} <= {limit:g}" for name, limit in config.limits.items()) or "none"
    rows = [
        ("task", f"{config.task} of {config.data}"),
        ("space", f"{config.space.name}, {len(config.space.distributions)} dimensions"),
        ("objectives", ", ".join(config.objectives)),
        ("limits", limits),
        ("budget", str(config.total)),
        ("trials", done),
        ("hours of training", f"{hours:.2f}"),
    ]
    return html.heading(run.name) + html.table(["", ""], rows)


def _winner(study: Study, config: SearchConfig) -> str:
    try:
        found = winner(study, config)
    except RunError:
        return html.section("Winner", html.note("No candidate has been trained in full yet."))
    best = best_candidate(config, found)
    architecture = best.architecture
    costs = profile(architecture, num_classes=config.space.num_classes)
    rows = [
        (
            stage.name,
            _blocks(architecture, at),
            " x ".join(map(str, stage.shape)),
            stage.cost.macs,
            stage.cost.params,
        )
        for at, stage in enumerate(costs.stages)
    ]
    total = ("total", f"{architecture.resolution} x {architecture.resolution} pixels in", "")
    rows.append((*total, costs.total.macs, costs.total.params))
    recipe = [(name, getattr(best.recipe, name)) for name in Recipe.model_fields]
    return html.section(
        "Winner",
        html.paragraph(_score(found, config)),
        html.table(["stage", "blocks", "output", "MACs", "parameters"], rows),
        html.table(["recipe", ""], recipe),
        html.note("As a file that trains: best.yaml in this folder."),
    )


def _score(found: Measured, config: SearchConfig) -> str:
    metric, mean, spread = config.objectives[0], found.mean[0], found.spread
    numbers = ", ".join(map(str, found.numbers))
    runs = (
        "one run, not confirmed" if spread is None else f"mean of {len(found.runs)} runs, sd {spread[0]:.2%}"
    )
    return f"val {metric} {mean:.2%} ({runs}; trial {numbers})"


def _blocks(architecture: Architecture, stage: int) -> str:
    if stage == len(architecture.stages):
        return "average pool, linear"
    return "; ".join(map(_row, architecture.stages[stage]))


def _row(block: Block) -> str:
    parts = [f"{block.repeats} x {block.op}" if block.repeats > 1 else block.op]
    if block.kernel is not None:
        parts.append(f"{block.kernel}x{block.kernel}")
    if block.expansion is not None:
        parts.append(f"expand {block.expansion:g}")
    if block.se != "none":
        parts.append("SE")
    if block.stride != 1:
        parts.append(f"stride {block.stride}")
    return f"{' '.join(parts)}, {block.channels} channels"


def _pictures(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    metric = config.objectives[0]
    costs = [name for name in config.objectives[1:] if name != "macs"]
    drawn = [plots.front(trials, metric, cost) for cost in ("macs", *costs)]
    history = plots.history(trials, metric, phases(trials, config))
    return html.section(
        "Search",
        _image(history, "score of every trial"),
        *(_image(each, "score against cost") for each in drawn),
    )


def _front(study: Study, config: SearchConfig) -> str:
    table = front_table(study, config)
    names = ["trial", "runs", *dict.fromkeys([*config.objectives, "macs"]), "sd"]
    shown = [name for name in names if name in table]
    rows = table[shown].itertuples(index=False)
    text = "Candidates that no other beats in every objective; scores of several runs are means."
    return html.section("Front", html.note(text), html.table(shown, rows))


def _candidates(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    by_number = {trial.number: trial for trial in trials}
    best = sorted(measured(trials), key=lambda each: -each.mean[0])
    costs = {"macs": "MACs", "params": "parameters", "latency": "latency (s)"}
    rows = []
    for each in best[:TOP]:
        record = Record.of(by_number[each.numbers[0]])
        sd = each.spread[0] if each.spread else None
        known = [record.measured.get(name) for name in costs]
        known += [record.epochs, record.seconds, record.predicted]
        rows.append((str(each.numbers[0]), len(each.runs), each.mean[0], sd, *known))
    head = ["trial", "runs", config.objectives[0], "sd", *costs.values()]
    head += ["epochs", "training (s)", "predicted"]
    return html.section(
        f"Best of {len(best)} candidates",
        html.table(head, rows),
        html.note("All trials: trials.csv."),
        *_failures(trials),
    )


def _failures(trials: Sequence[FrozenTrial]) -> list[str]:
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    if not failed:
        return []
    rows = [(str(trial.number), Record.of(trial).reason or "not known") for trial in failed]
    return [html.folded(f"{len(failed)} failed", html.table(["trial", "reason"], rows))]


def _importance(study: Study, config: SearchConfig) -> str:
    found = importance(study, config.seed)
    title = "What matters"
    if found is None:
        return html.section(title, html.note("Too few trials to tell the dimensions apart (10 are needed)."))
    known = {name: share for name, share in found.shares.items() if share > found.chance}
    rest = {name: share for name, share in found.shares.items() if name not in known}
    text = (
        f"Shares of the score's variance among {found.trials} trials (functional ANOVA). With shuffled "
        f"scores all of the recipe gets {found.recipe_by_chance:.0%}, and some single dimension up to "
        f"{found.chance:.1%}: what is below that is not known to matter."
    )
    parts = {"architecture": 1 - found.recipe, "recipe": found.recipe}
    folded = html.folded(f"{len(rest)} dimensions not above chance", html.bars(rest))
    return html.section(title, html.note(text), html.bars(parts), html.bars(known), folded)


def _recipes(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    found = recipes_by_size(trials, config.space)
    if found is None:
        return ""
    text = (
        "Medians and most frequent choices of the best third of candidates of each size; "
        "lr as searched, before the optimizer's factor."
    )
    rows = ([name, *row] for name, row in zip(found.index, found.to_numpy(dtype=object), strict=True))
    return html.section("Recipes that suit", html.note(text), html.table(["", *found.columns], rows))


def _trust(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    metric = config.objectives[0]
    guesses, scores, spreads = plots.predictions(trials, metric)
    title = "How far the predictor can be trusted"
    if not len(scores):
        return html.section(title, html.note("No trial was predicted before it was trained."))
    text = f"{len(scores)} trials, each predicted before it was trained"
    agreement = spearman(guesses, scores)
    if agreement is not None:
        text += f"; rank correlation {agreement}, in brackets the 95% interval"
    if len(scores) >= TOP:
        one, two = calibration(guesses, scores, spreads)
        text += f"; {one:.0%} lie within one predicted standard deviation and {two:.0%} within two "
        text += "(calibrated: 68% and 95%)"
    return html.section(
        title, html.note(f"{text}."), _image(plots.predicted(trials, metric), "predicted against measured")
    )


def _curves(trials: Sequence[FrozenTrial], config: SearchConfig) -> str:
    picture = plots.curves(trials, config.objectives[0], _stopping_fraction(trials, config))
    return html.section("Training curves", _image(picture, "score during training"))


def _stopping_fraction(trials: Sequence[FrozenTrial], config: SearchConfig) -> float | None:
    """The part of a training after which the first ones let others be stopped."""
    first = trials[:TAUGHT_BY]
    complete = [trial for trial in first if trial.state == TrialState.COMPLETE]
    if not config.early_stopping or not complete:
        return None
    curves = [curve for trial in complete if (curve := Record.of(trial).curve) is not None]
    return EarlyStopping(curves).fraction


def _settings(run: Run) -> str:
    versions = [("python", platform.python_version()), *((name, version(name)) for name in PACKAGES)]
    text = (
        "config.yaml of this folder: the same search with the same seed and one worker gives the same result."
    )
    return html.section(
        "To repeat it",
        html.note(text),
        html.code(run.config.to_yaml()),
        html.table(["package", "version"], versions),
    )


def _image(figure: Any, alt: str) -> str:
    return html.figure(plots.to_png(figure), alt)
