"""Shows a training while it runs: as a bar on a terminal, otherwise as a line per epoch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from rich.console import Console

from nars.cli.display import progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

    from nars.training.progress import Step

__all__ = ["duration", "training_progress"]

E = TypeVar("E")
"""The results of an epoch, as the loop gives them to ``on_epoch``."""

OnStep = Callable[["Step"], None]


@contextlib.contextmanager
def training_progress(
    describe: Callable[[E], str], *, quiet: bool
) -> Iterator[tuple[OnStep | None, Callable[[E], bool] | None]]:
    """Give the callbacks that show a training on stderr; `describe` makes the line of an epoch."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if quiet:
        yield None, None
    elif console.is_terminal:
        with progress_bar(console) as bar:
            live = _Live(console, bar, describe)
            yield live.on_step, live.on_epoch
    else:
        log = _Log(console, describe)
        yield log.on_step, log.on_epoch


class _Live(Generic[E]):
    """Keeps one line up to date, and prints a line above it after each epoch."""

    def __init__(self, console: Console, bar: Progress, describe: Callable[[E], str]) -> None:
        self.console = console
        self.bar = bar
        self.describe = describe
        self.line = bar.add_task("training", note="")

    def on_step(self, step: Step) -> None:
        done = (step.epoch - 1) * step.steps + step.step
        note = f"left {duration(step.seconds_left)}, epoch {step.epoch}, loss {step.loss:.3f}"
        self.bar.update(self.line, total=step.epochs * step.steps, completed=done, note=note)

    def on_epoch(self, epoch: E) -> bool:
        self.console.print(self.describe(epoch))
        return True


class _Log(Generic[E]):
    """Prints a line after each epoch, with the time left."""

    def __init__(self, console: Console, describe: Callable[[E], str]) -> None:
        self.console = console
        self.describe = describe
        self.seconds_left = 0.0

    def on_step(self, step: Step) -> None:
        self.seconds_left = step.seconds_left

    def on_epoch(self, epoch: E) -> bool:
        self.console.print(f"{self.describe(epoch)}, left {duration(self.seconds_left)}")
        return True


def duration(seconds: float) -> str:
    """A time as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
