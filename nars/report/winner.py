"""The winner's section of a report: its score, its network stage by stage, its recipe."""

from __future__ import annotations

from optuna.study import Study

from nars.errors import RunError
from nars.networks.profile import profile
from nars.report import html
from nars.report.style import score_text
from nars.runs.config import SearchConfig
from nars.searching.confirm import Measured
from nars.searching.results import best_candidate, costs_of, winner
from nars.spec import Architecture, Block, Candidate, Recipe, Trainable

__all__ = ["winner_section"]


def winner_section(study: Study, config: SearchConfig) -> str:
    """Return the section of the winner, or a note if no candidate has been trained in full."""
    try:
        measured = winner(study, config)
    except RunError:
        return html.section("Winner", html.note("No candidate has been trained in full yet."))
    best = best_candidate(config, measured)
    if not isinstance(best, Candidate):
        return _of_another_kind(measured, config, best)
    recipe = [(name, getattr(best.recipe, name)) for name in Recipe.model_fields]
    return html.section(
        "Winner",
        html.paragraph(_score(measured, config.objectives[0])),
        _network(best.architecture, config.space.num_classes),
        html.table(["recipe", ""], recipe),
        html.note("best.yaml in this folder has the winner as a file to train from."),
    )


def _of_another_kind(measured: Measured, config: SearchConfig, best: Trainable) -> str:
    """Return the section of a winner that is no classifier: its costs and its file."""
    costs = costs_of(config, measured)
    text = f"{costs['macs'] / 1e6:.1f} M multiply-accumulates, {costs['params'] / 1e6:.3f} M parameters"
    return html.section(
        "Winner",
        html.paragraph(f"{_score(measured, config.objectives[0])}; {text}"),
        html.table(["best.yaml"], [(line,) for line in best.to_yaml().splitlines()]),
        html.note("best.yaml in this folder has the winner as a file to train from."),
    )


def _score(candidate: Measured, metric: str) -> str:
    """State the mean score over runs, its spread and the trials that the runs are."""
    numbers = ", ".join(map(str, candidate.numbers))
    runs = "one run, not confirmed"
    if candidate.spread is not None:
        runs = f"mean of {len(candidate.runs)} runs, sd {score_text(candidate.spread[0], metric)}"
    return f"val {metric} {score_text(candidate.mean[0], metric)} ({runs}; trial {numbers})"


def _network(architecture: Architecture, num_classes: int) -> str:
    """Tabulate the stages with their blocks, output shapes and costs."""
    costs = profile(architecture, num_classes=num_classes)
    blocks = ["; ".join(map(_block, stage)) for stage in architecture.stages]
    rows = [
        (stage.name, text, " x ".join(map(str, stage.shape)), stage.cost.macs, stage.cost.params)
        for stage, text in zip(costs.stages, [*blocks, "average pool, linear"], strict=True)
    ]
    pixels = f"{architecture.resolution} x {architecture.resolution} pixels in"
    rows.append(("total", pixels, "", costs.total.macs, costs.total.params))
    return html.table(["stage", "blocks", "output", "MACs", "parameters"], rows)


def _block(block: Block) -> str:
    """Describe a block in a few words, with the settings that differ from the defaults."""
    words = [f"{block.repeats} x {block.op}" if block.repeats > 1 else block.op]
    if block.kernel is not None:
        words.append(f"{block.kernel}x{block.kernel}")
    if block.expansion is not None:
        words.append(f"expand {block.expansion:g}")
    if block.se != "none":
        words.append("SE")
    if block.stride != 1:
        words.append(f"stride {block.stride}")
    return f"{' '.join(words)}, {block.channels} channels"
