"""Parts of a training on the command line: its files, its progress, the results printed at its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from nars.cli.options.values import is_file

if TYPE_CHECKING:
    import torch
    from rich.console import Console
    from rich.progress import Progress
    from torch import nn

    from nars.data import ImageData
    from nars.spec import Candidate
    from nars.training.evaluation import Metrics
    from nars.training.loop import Trained
    from nars.training.metrics import Metric
    from nars.training.progress import Step

__all__ = ["Destination", "Results", "Saving", "training_progress"]

E = TypeVar("E")
"""The results of an epoch, as the loop gives them to ``on_epoch``."""

OnStep = Callable[["Step"], None]


@contextlib.contextmanager
def training_progress(
    describe: Callable[[E], str], output: Path, *, quiet: bool
) -> Iterator[tuple[OnStep | None, Callable[[E], bool] | None]]:
    """Give the callbacks that show a training on stderr; `describe` makes the line of an epoch.

    A training that had no epoch left, as `output` has a finished one, is said to be that.
    """
    from nars.cli.console import plain_console
    from nars.cli.display import progress_bar

    console = plain_console(stderr=True, soft_wrap=True)
    if quiet:
        yield None, None
        return
    with progress_bar(console) if console.is_terminal else contextlib.nullcontext() as bar:
        shown = _Log(console, describe) if bar is None else _Live(console, bar, describe)
        yield shown.on_step, shown.on_epoch
    if not shown.epochs:
        console.print(f"{output} is finished; this is its result")


class _Live(Generic[E]):
    """Keeps one line up to date, and prints a line above it after each epoch."""

    def __init__(self, console: Console, bar: Progress, describe: Callable[[E], str]) -> None:
        self.console = console
        self.bar = bar
        self.describe = describe
        self.line = bar.add_task("training", note="")
        self.epochs = 0

    def on_step(self, step: Step) -> None:
        done = (step.epoch - 1) * step.steps + step.step
        note = f"left {_duration(step.seconds_left)}, epoch {step.epoch}, loss {step.loss:.3f}"
        self.bar.update(self.line, total=step.epochs * step.steps, completed=done, note=note)

    def on_epoch(self, epoch: E) -> bool:
        self.epochs += 1
        self.console.print(self.describe(epoch))
        return True


class _Log(Generic[E]):
    """Prints a line after each epoch, with the time left."""

    def __init__(self, console: Console, describe: Callable[[E], str]) -> None:
        self.console = console
        self.describe = describe
        self.seconds_left = 0.0
        self.epochs = 0

    def on_step(self, step: Step) -> None:
        self.seconds_left = step.seconds_left

    def on_epoch(self, epoch: E) -> bool:
        self.epochs += 1
        self.console.print(f"{self.describe(epoch)}, left {_duration(self.seconds_left)}")
        return True


def _duration(seconds: float) -> str:
    """A time as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


@dataclass(frozen=True)
class Destination:
    """The file or the folder that a training writes to."""

    last: Path
    """File of the last weights."""
    checkpoint: Path
    folder: Path | None = None
    best: Path | None = None
    """File of the best weights, in a folder."""

    @classmethod
    def of(cls, output: Path) -> Self:
        """The files at ``-o``. Raises `click.UsageError` if it is neither a file nor a folder."""
        if is_file(output, (".pt", ".safetensors")):
            return cls(output, output.with_name(f"{output.name}.checkpoint"))

        from nars.training.folder import TrainingFolder

        last, best = (TrainingFolder.weights(output, name) for name in ("last", "best"))
        return cls(last, TrainingFolder.checkpoint(output), output, best)

    def continuation(self) -> str:
        """The message of an interruption: how the training continues."""
        if self.checkpoint.exists():
            return f"interrupted; the same command continues from {self.checkpoint}"
        return "interrupted in its first epoch; the same command starts again"


@dataclass(frozen=True, eq=False)
class Saving:
    """Writes the weights of a network with all that is needed to use them."""

    candidate: Candidate
    images: ImageData
    metric: Metric

    def numbers(self, split: str, measured: Metrics) -> dict[str, float]:
        """The accuracy and the metric of a split, by their names with the split's before them."""
        return {f"{split}_accuracy": measured.accuracy, f"{split}_{self.metric.name}": measured.score}

    def __call__(self, path: Path, model: nn.Module, val: Metrics) -> None:
        """Write `model`, measured as `val`."""
        self.write(path, model, self.numbers("val", val))

    def write(self, path: Path, model: nn.Module, numbers: dict[str, float]) -> None:
        """Write `model` with these numbers of val and test."""
        from nars.networks.weights import save_weights

        images = self.images
        save_weights(
            path,
            model,
            self.candidate,
            numbers,
            classes=images.classes,
            mean=images.mean,
            std=images.std,
            data_fingerprint=images.fingerprint,
        )


@dataclass(frozen=True, eq=False)
class Results:
    """The numbers of the files that a training leaves behind."""

    destination: Destination
    trained: Trained
    last: dict[str, float]
    """Numbers of the last weights, on val and test."""
    best: dict[str, float] | None
    """Numbers of the best weights, in a folder."""
    metric: str

    @classmethod
    def of(cls, destination: Destination, trained: Trained, saving: Saving, device: torch.device) -> Self:
        """Measure the weights on test, and write each file with its numbers. Raises `WeightsError`."""
        from nars.networks.weights import load_weights

        last = _with_test(saving.numbers("val", trained.val), trained.model, saving, device)
        saving.write(destination.last, trained.model, last)
        if destination.best is None:
            return cls(destination, trained, last, None, saving.metric.name)
        if trained.best is trained.curve[-1]:
            saving.write(destination.best, trained.model, last)
            return cls(destination, trained, last, last, saving.metric.name)
        saved = load_weights(destination.best)
        network = saved.network().to(device)
        best = _with_test(dict(saved.metrics), network, saving, device)
        saving.write(destination.best, network, best)
        return cls(destination, trained, last, best, saving.metric.name)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values: first those of the best weights or, without a folder, the last."""
        epochs, best_epoch = len(self.trained.curve), self.trained.best.epoch
        shared = {
            "seconds": self.trained.curve[-1].seconds,
            "epochs": epochs,
            "best_epoch": best_epoch,
        }
        last = self.last | {"weights": str(self.destination.last), "epoch": epochs}
        if self.best is None:
            return last | shared
        best = self.best | {"weights": str(self.destination.best), "epoch": best_epoch}
        return best | shared | {"last": last}

    def lines(self) -> list[str]:
        """A line to print for each file."""
        if self.best is None:
            return [self._described(self.last, self.destination.last)]
        assert self.destination.best is not None
        return [
            f"best epoch {self.trained.best.epoch}: {self._described(self.best, self.destination.best)}",
            f"last epoch {len(self.trained.curve)}: {self._described(self.last, self.destination.last)}",
        ]

    def _described(self, numbers: dict[str, float], file: Path) -> str:
        val, test = (numbers[f"{split}_{self.metric}"] for split in ("val", "test"))
        return f"val {self.metric} {val:.4f}, test {self.metric} {test:.4f}: written to {file}"

    def draw(self, path: Path) -> None:
        """Draw losses and scores by epoch into a PNG file."""
        from nars.report.style import save_png
        from nars.report.training import draw_training

        curve = self.trained.curve
        names = dict.fromkeys(name for entry in curve for name in entry.numbers)
        series: dict[str, list[float | None]]
        series = {name.removeprefix("val_"): [entry.numbers.get(name) for entry in curve] for name in names}
        losses: dict[str, list[float | None]]
        losses = {"training": [entry.loss for entry in curve], "val": series.pop("loss", [])}
        scores = {name.replace("_", " "): values for name, values in series.items()}
        save_png(draw_training(losses, scores, main="training"), path)


def _with_test(
    numbers: dict[str, float], model: nn.Module, saving: Saving, device: torch.device
) -> dict[str, float]:
    """The numbers of a network with its scores on test."""
    from nars.training.evaluation import evaluate

    resolution = saving.candidate.architecture.resolution
    test = evaluate(model, saving.images, "test", resolution=resolution, device=device, metric=saving.metric)
    return numbers | saving.numbers("test", test) | {"test_balanced_accuracy": test.balanced_accuracy}
