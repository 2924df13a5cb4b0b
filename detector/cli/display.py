"""Shows a training of ``nars detect`` as a bar or a line per epoch, and results as tables."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from nars.cli.console import add_rows, plain_console
from nars.cli.training import training_progress

if TYPE_CHECKING:
    from detector.evaluation.coco_ap import Scores
    from detector.evaluation.loop import Evaluation
    from detector.model.cost import DetectorCost
    from detector.training.progress import Epoch
    from nars.networks.latency import Latency
    from nars.training.progress import Step

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


def progress(output: Path, *, quiet: bool) -> AbstractContextManager[tuple[OnStep | None, OnEpoch | None]]:
    """Give the callbacks that show a training on stderr."""
    return training_progress(_described, output, quiet=quiet)


def _described(epoch: Epoch) -> str:
    parts = [f"loss {epoch.losses['loss']:.3f}"]
    if epoch.scores is not None and epoch.ap is not None:
        parts.append(f"AP {epoch.ap:.4f} (AP50 {epoch.scores['ap50'] or 0.0:.4f})")
    objects, background = epoch.samples["box_objects"], epoch.samples["box_background"]
    parts.append(f"{objects:.1f} objects and {background:.1f} background regions per image")
    return f"epoch {epoch.epoch}/{epoch.epochs}: {', '.join(parts)}"


def show_scores(
    evaluation: Evaluation, remarks: Sequence[str] = (), interval: tuple[float, float] | None = None
) -> None:
    """Print AP by class, the means, the interval of the main AP, and what is to be known about them."""
    kinds = {"box": evaluation.boxes} | ({"mask": evaluation.masks} if evaluation.masks else {})
    table = Table("class", *(f"{kind} AP" for kind in kinds))
    classes = list(evaluation.boxes.per_class)
    add_rows(table, classes, lambda name: (_number(scores.per_class[name]) for scores in kinds.values()))
    console = plain_console(soft_wrap=True)
    console.print(table)
    for kind, scores in kinds.items():
        console.print(f"{kind} {_summary(scores)}")
    if interval is not None:
        console.print(
            f"other images of this kind give an AP of {interval[0]:.4f} to {interval[1]:.4f} (95 %)"
        )
    for remark in remarks:
        console.print(remark)


def _summary(scores: Scores) -> str:
    sizes = {"small": scores.ap_small, "medium": scores.ap_medium, "large": scores.ap_large}
    by_size = ", ".join(f"{name} {_number(value)}" for name, value in sizes.items() if value is not None)
    means = f"AP {scores.ap:.4f}, AP50 {scores.ap50:.4f}, AP75 {scores.ap75:.4f}"
    return f"{means}; {by_size}" if by_size else means


def show_cost(cost: DetectorCost, latency: Latency | None) -> None:
    """Print MACs by part, parameters, and the latency if it was measured."""
    heads = {"trunk": cost.trunk, "RPN": cost.rpn, "box head": cost.box, "mask head": cost.mask}
    shares = ", ".join(f"{name} {macs / 1e6:.1f} M" for name, macs in heads.items() if macs)
    text = f"{cost.macs / 1e6:.1f} M MACs at {cost.side}x{cost.longer} ({shares}), {cost.params / 1e6:.3f} M"
    text += " parameters"
    if latency is not None:
        text += f", {1e3 * latency.median:.1f} ms ({1e3 * latency.low:.1f} to {1e3 * latency.high:.1f})"
    plain_console(soft_wrap=True).print(text)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
