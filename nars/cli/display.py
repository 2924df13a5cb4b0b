"""Shows a search while it runs, as a live line on a terminal and otherwise as a log, and its outcome."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from nars.cli.console import plain_console, print_table
from nars.cli.next_steps import next_steps
from nars.foreign.parts import counted

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from nars.runs.config import SearchConfig
    from nars.searching.summary import Summary
    from nars.space.feasible import FeasiblePart
    from nars.training.loop import Progress as Training
    from nars.workers.finish import Finished

__all__ = ["epochs", "progress", "progress_bar", "show_finished", "show_remaining", "show_summary"]

_SCALES = {"macs": (1e6, "M"), "params": (1e3, "k"), "latency": (1e-3, "ms")}
"""Scale and unit in which each statistic is shown."""


def _quantity(name: str, value: float) -> str:
    scale, unit = _SCALES[name]
    return f"{value / scale:.4g} {unit}"


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "less than 0.1%"


def show_remaining(config: SearchConfig, remaining: FeasiblePart, *, quiet: bool = False) -> None:
    """Print on stderr what the limits leave of the space."""
    if quiet:
        return
    console = plain_console(stderr=True)
    table = Table()
    for column in ("", "smallest", "median", "largest", "limit"):
        table.add_column(column, justify="right" if column else "left")
    for name, values in remaining.quantiles.items():
        limit = config.limits.get(name)
        shown = _quantity(name, limit) if limit is not None else ""
        table.add_row(name, *(_quantity(name, value) for value in values), shown)
    title = f"space {config.space.name}: {_share(remaining.share)} of candidates are feasible"
    print_table(console, title, table)
    if "latency" in config.limits:
        console.print(
            f"latency <= {_quantity('latency', config.limits['latency'])}: measured for each candidate"
        )


@contextlib.contextmanager
def progress(config: SearchConfig, *, quiet: bool = False) -> Iterator[Callable[[Study], None]]:
    """Give a function that shows on stderr where the search is; it is called with the study."""
    console = plain_console(stderr=True)
    if quiet:
        yield lambda study: None
    elif console.is_terminal:
        with progress_bar(console, TextColumn("left"), TimeRemainingColumn()) as bar:
            yield _Live(config, bar)
    else:
        yield _Log(config, console)


def progress_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """A bar with the share done, the time passed, then `columns`, then the task's field ``note``."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        *columns,
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
    )


_FEW = 8
"""Measurements between two lines of a log; each takes about a second."""


class _Live:
    """Keeps one line up to date: trials done, best so far, the predictor's rank correlation, time left."""

    def __init__(self, config: SearchConfig, bar: Progress) -> None:
        self.config = config
        self.bar = bar
        self.line = bar.add_task("search", total=config.total.amount, note="")

    def __call__(self, study: Study) -> None:
        from nars.runs.reference import charged

        trials = study.get_trials(deepcopy=False)
        budget = charged(self.config.total, study)
        spent = budget.spent([trial for trial in trials if trial.state.is_finished()], datetime.now())
        note = _preparation(self.config, study, trials) or _note(self.config, trials)
        self.bar.update(self.line, completed=spent, note=note)


class _Log:
    """Prints a line for each finished trial."""

    def __init__(self, config: SearchConfig, console: Console) -> None:
        self.config = config
        self.console = console
        self.shown: set[int] | None = None
        self.preparation = ""

    def __call__(self, study: Study) -> None:
        trials = study.get_trials(deepcopy=False)
        preparation = _preparation(self.config, study, trials)
        if preparation and preparation != self.preparation:
            self.console.print(preparation, soft_wrap=True)
            self.preparation = preparation
        finished = {trial.number: trial for trial in trials if trial.state.is_finished()}
        if self.shown is None and finished:
            self.console.print(f"resuming after {len(finished)} trials")
        new = finished.keys() - (self.shown if self.shown is not None else finished.keys())
        for number in sorted(new):
            outcome = _outcome(self.config, finished[number])
            note = _note(self.config, trials)
            self.console.print(f"trial {number}: {outcome}; {note}", soft_wrap=True)
        self.shown = set(finished)


def _preparation(config: SearchConfig, study: Study, trials: list[FrozenTrial]) -> str:
    """Say how far a search is before its first trial; nothing from then on."""
    from nars.networks.latency import COUNT
    from nars.studies import latency_samples, reference_record
    from nars.workers.foretold import measured_of

    if trials:
        return ""
    if config.needs_latency and (timed := len(latency_samples(study))) < COUNT:
        return f"measuring the latency of candidates: {timed} of {COUNT}"
    if config.init == "none":
        return ""
    if config.reference is not None and reference_record(study) is None:
        return _tuning(config, config.reference.epochs, study)
    measured = measured_of(study)
    if measured is None:
        return ""
    return f"measuring what candidates inherit: {measured[0] // _FEW * _FEW} of {measured[1]}"


def _tuning(config: SearchConfig, epochs: int, study: Study) -> str:
    """Say how far the fine-tuning of the parent is; nothing before it."""
    from nars.runs.reference import fine_tuning

    turns = fine_tuning(study)
    running = [] if turns is None else [trial for trial in turns.trials if not trial.state.is_finished()]
    if not running:
        return ""
    scores = running[0].intermediate_values
    score = f", {config.objectives[0]} {scores[max(scores)]:.4f}" if scores else ""
    return f"fine-tuning {config.init}: {len(scores)} of {counted(epochs, 'epoch')}{score}"


def _outcome(config: SearchConfig, trial: FrozenTrial) -> str:
    from nars.trials import Record

    record = Record.of(trial)
    measured, metric = record.measured, config.objectives[0]
    parts = [f"{metric} {measured[metric]:.4f}"] if metric in measured else []
    parts += [_quantity(name, measured[name]) for name in ("macs", "latency") if name in measured]
    parts += [f"{record.seconds:.1f} s"] if record.seconds is not None else []
    parts += [f"confirms {record.confirms}"] if record.confirms is not None else []
    parts += [record.reason] if record.reason is not None else []
    return ", ".join(parts) or trial.state.name.lower()


def _note(config: SearchConfig, trials: list[FrozenTrial]) -> str:
    from nars.searching.confirm import winner
    from nars.searching.results import rank_correlation
    from nars.trials import counts

    done = sum(trial.state.is_finished() and counts(trial) for trial in trials)
    best = winner(trials, config.directions)
    parts = [f"{done} done"]
    parts += [f"best {best.mean[0]:.4f}"] if best else []
    trust = rank_correlation(trials, config.objectives[0])
    parts += [f"predictor rank correlation {trust.value:.2f}"] if trust else []
    return ", ".join(parts)


def epochs(*, quiet: bool = False) -> Callable[[Training], None]:
    """Return a function that prints on stderr an epoch of the winner's full training."""
    console = plain_console(stderr=True, quiet=quiet, soft_wrap=True)

    def show(training: Training) -> None:
        numbers = f"loss {training.loss:.4f}, val {training.score:.4f}"
        console.print(f"winner, epoch {training.epoch}/{training.epochs}: {numbers}")

    return show


def show_finished(folder: Path, finished: Finished) -> None:
    """Print on stdout the scores of the winner after its full training."""
    test = "".join(f", test {name} {value:.4f}" for name, value in finished.test.items())
    scores = f"val {finished.metric} {finished.val:.4f}{test}"
    click.echo(
        f"finished in {counted(finished.epochs, 'epoch')}: {scores}; written to {folder / finished.file}"
    )


def show_summary(
    summary: Summary, config: SearchConfig, storage: str | None = None, *, finishing: bool = False
) -> None:
    """Print on stdout what the search came to: the winner, where its files are, and what to do next.

    If the same command is `finishing` it, the training of the winner is no step to do next.
    """
    console = plain_console(soft_wrap=True)
    states = ", ".join(f"{count} {state}" for state, count in summary.trials.items())
    console.print(f"{summary.run}: spent {summary.spent:g} of {summary.budget} ({states or 'no trial'})")
    trust, best, reference = summary.agreement, summary.best, summary.reference
    if reference is not None:
        costs = f"{_quantity('macs', reference.costs['macs'])} macs"
        tuned = f"{summary.init} fine-tuned at {reference.resolution} pixels"
        console.print(f"reference: val {reference.metric} {reference.score:.4f}, {costs} ({tuned})")
    if trust is not None:
        shown = f"{trust.value:.2f} on {trust.pairs} trials it had not seen"
        console.print(f"rank correlation of the predictor: {shown}")
    if best is None:
        console.print("no candidate was trained to the end")
        if not summary.trials and reference is not None:
            console.print("the steps before the first trial took it all; a larger --budget goes on from here")
        return
    runs = f"{len(best.trials)} runs, sd {best.sd:.4f}" if best.sd is not None else "1 run"
    if best.interval is not None:
        runs += f"; other val images {best.interval[0]:.4f} to {best.interval[1]:.4f}"
    costs = ", ".join(f"{_quantity(name, best.costs[name])} {name}" for name in ("macs", "params"))
    console.print(f"winner: val {best.metric} {best.score:.4f} ({runs}), {costs}")
    parent = summary.init if reference is None else summary.run / "weights" / "reference.pt"
    weights = summary.run / "weights" / "best.pt"
    kept = f"its weights: {weights}" if weights.exists() else "its weights were not kept"
    console.print(kept)
    console.print(f"written to {best.file}")
    export, train = next_steps(config, summary.run, best.file, parent, storage)
    for step in (export,) if finishing else (export, train):
        console.print(f"next: {step}")
