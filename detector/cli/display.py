"""What ``nars detect`` shows: a bar on a terminal, a line per epoch elsewhere, tables at the end."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from detector.evaluation.coco_ap import Evaluation, Scores
    from detector.model.cost import DetectorCost
    from detector.training.progress import Epoch, Step
    from nars.networks.latency import Latency

__all__ = ["progress", "show_cost", "show_scores", "spoken"]

OnStep = Callable[["Step"], None]
OnEpoch = Callable[["Epoch"], bool]


@contextlib.contextmanager
def spoken(*, quiet: bool) -> Iterator[None]:
    """Let the package say on stderr what it does: weights loaded, records left out, downloads."""
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
    """The callbacks that show a training on stderr."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if quiet:
        yield None, None
        return
    if not console.is_terminal:
        yield _with_lines(console)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as bar:
        line = bar.add_task("training", note="")

        def on_step(step: Step) -> None:
            done = (step.epoch - 1) * step.steps + step.step
            note = f"left {_duration(step.seconds_left)}, epoch {step.epoch}, loss {step.loss:.3f}"
            bar.update(line, total=step.epochs * step.steps, completed=done, note=note)

        yield on_step, _on_epoch(console)


def _with_lines(console: Console) -> tuple[OnStep, OnEpoch]:
    left = [0.0]

    def on_step(step: Step) -> None:
        left[0] = step.seconds_left

    return on_step, _on_epoch(console, left)


def _on_epoch(console: Console, left: list[float] | None = None) -> OnEpoch:
    """Prints a line; `left` holds the seconds to the end."""

    def on_epoch(epoch: Epoch) -> bool:
        parts = [f"loss {epoch.losses['loss']:.3f}"]
        if epoch.scores is not None and epoch.ap is not None:
            parts.append(f"AP {epoch.ap:.4f} (AP50 {epoch.scores['ap50'] or 0.0:.4f})")
        objects, background = epoch.samples["box_objects"], epoch.samples["box_background"]
        parts.append(f"{objects:.1f} objects and {background:.1f} background regions per image")
        if left is not None:
            parts.append(f"left {_duration(left[0])}")
        console.print(f"epoch {epoch.epoch}/{epoch.epochs}: {', '.join(parts)}")
        return True

    return on_epoch


def show_scores(evaluation: Evaluation) -> None:
    """AP by class, and the means."""
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
