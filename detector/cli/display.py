"""Shows a training of ``nars detect`` as a bar or a line per epoch, and results as tables."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from nars.cli.display import progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

    from detector.evaluation.coco_ap import Evaluation, Scores
    from detector.model.cost import DetectorCost
    from detector.training.progress import Epoch, Step
    from nars.networks.latency import Latency

__all__ = ["logging_to_stderr", "progress", "show_cost", "show_scores"]

OnStep = Callable[["Step"], None]
OnEpoch = Callable[["Epoch"], bool]


@contextlib.contextmanager
def logging_to_stderr(*, quiet: bool) -> Iterator[None]:
    """Let the package log to stderr what it does: weights loaded, records left out, downloads."""
    logger, handler = logging.getLogger("detector"), logging.StreamHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextlib.contextmanager
def progress(*, quiet: bool) -> Iterator[tuple[OnStep | None, OnEpoch | None]]:
    """Give the callbacks that show a training on stderr."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if quiet:
        yield None, None
    elif console.is_terminal:
        with progress_bar(console) as bar:
            live = _Live(console, bar)
            yield live.on_step, live.on_epoch
    else:
        log = _Log(console)
        yield log.on_step, log.on_epoch


class _Live:
    """Keeps one line up to date, and prints a line above it after each epoch."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self.console = console
        self.bar = bar
        self.line = bar.add_task("training", note="")

    def on_step(self, step: Step) -> None:
        done = (step.epoch - 1) * step.steps + step.step
        note = f"left {_duration(step.seconds_left)}, epoch {step.epoch}, loss {step.loss:.3f}"
        self.bar.update(self.line, total=step.epochs * step.steps, completed=done, note=note)

    def on_epoch(self, epoch: Epoch) -> bool:
        self.console.print(_described(epoch))
        return True


class _Log:
    """Prints a line after each epoch, with the time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds_left = 0.0

    def on_step(self, step: Step) -> None:
        self.seconds_left = step.seconds_left

    def on_epoch(self, epoch: Epoch) -> bool:
        self.console.print(f"{_described(epoch)}, left {_duration(self.seconds_left)}")
        return True


def _described(epoch: Epoch) -> str:
    parts = [f"loss {epoch.losses['loss']:.3f}"]
    if epoch.scores is not None and epoch.ap is not None:
        parts.append(f"AP {epoch.ap:.4f} (AP50 {epoch.scores['ap50'] or 0.0:.4f})")
    objects, background = epoch.samples["box_objects"], epoch.samples["box_background"]
    parts.append(f"{objects:.1f} objects and {background:.1f} background regions per image")
    return f"epoch {epoch.epoch}/{epoch.epochs}: {', '.join(parts)}"


def show_scores(evaluation: Evaluation) -> None:
    """Print AP by class, and the means."""
    kinds = {"box": evaluation.boxes} | ({"mask": evaluation.masks} if evaluation.masks else {})
    table = Table("class", *(f"{kind} AP" for kind in kinds))
    for name in evaluation.boxes.per_class:
        table.add_row(name, *(_number(scores.per_class[name]) for scores in kinds.values()))
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    for kind, scores in kinds.items():
        console.print(f"{kind} {_summary(scores)}")


def _summary(scores: Scores) -> str:
    sizes = {"small": scores.ap_small, "medium": scores.ap_medium, "large": scores.ap_large}
    by_size = ", ".join(f"{name} {_number(value)}" for name, value in sizes.items() if value is not None)
    return f"AP {scores.ap:.4f}, AP50 {scores.ap50:.4f}, AP75 {scores.ap75:.4f}; {by_size}"


def show_cost(cost: DetectorCost, latency: Latency | None) -> None:
    """Print MACs by part, parameters, and the latency if it was measured."""
    heads = {"trunk": cost.trunk, "RPN": cost.rpn, "box head": cost.box, "mask head": cost.mask}
    shares = ", ".join(f"{name} {macs / 1e6:.1f} M" for name, macs in heads.items() if macs)
    text = f"{cost.macs / 1e6:.1f} M MACs at {cost.side}x{cost.side} ({shares}), {cost.params / 1e6:.3f} M"
    text += " parameters"
    if latency is not None:
        text += f", {1e3 * latency.median:.1f} ms ({1e3 * latency.low:.1f} to {1e3 * latency.high:.1f})"
    Console(soft_wrap=True, highlight=False).print(text)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
