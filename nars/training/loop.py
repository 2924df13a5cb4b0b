"""Trains a classifier: one loop, in the open."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nars.data import ImageData, augment, normalise, random_crops
from nars.data.policies import change, erase
from nars.device import half_precision, memory_errors, seeded
from nars.errors import NonFiniteLossError
from nars.spec import Recipe
from nars.training import optim
from nars.training.checkpoint import Stateful, restore, save
from nars.training.evaluation import Metrics, evaluate, moments, recalibrate
from nars.training.folder import TrainingFolder
from nars.training.logs import Row
from nars.training.metrics import ACCURACY, Metric
from nars.training.patience import best_of, is_improved, is_out_of_patience
from nars.training.progress import Pace, Step
from nars.training.small_maps import widened
from nars.training.stages import freezing, keep_frozen
from nars.training.teacher import Teacher, check_teacher, taught

__all__ = ["Outputs", "Progress", "Trained", "train"]

_QUIET = 0.5
"""Seconds between two calls of ``on_step`` within an epoch, because a GPU has to synchronize for each."""


@dataclass(frozen=True)
class Progress:
    """The state of a training after an epoch, in numbers."""

    epoch: int
    """Epochs done, from 1."""
    epochs: int
    """Epochs of the recipe."""
    score: float
    """The task's metric on val, such as the accuracy, in 0..1."""
    loss: float
    """Mean training loss of the epoch."""
    seconds: float
    """Seconds since the start, including those before an interruption."""
    lr: float = 0.0
    """Learning rate of the last step; 0 if it was not recorded, as by version 0.1."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """The `Metrics` on val that are numbers, by their names with ``val_`` before them."""

    @property
    def fraction(self) -> float:
        return self.epoch / self.epochs

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of a checkpoint's curve; version 0.1 called the score ``accuracy``."""
        return cls(**{"score" if name == "accuracy" else name: value for name, value in entry.items()})


@dataclass(frozen=True)
class Outputs:
    """The files that a training writes, its callbacks, and when it may end early."""

    folder: Path | None = None
    """Folder for ``results.csv``, TensorBoard's files if it is installed, ``weights/best.pt`` and
    ``weights/last.pt``; it needs `save`."""
    save: Callable[[Path, nn.Module, Metrics], None] | None = None
    """Writes the weights of a network, measured as `Metrics` on val, to a file."""
    checkpoint: Path | None = None
    """File from which an interrupted training continues; it is rewritten after every epoch."""
    start: str | None = None
    """Fingerprint of the weights that the network starts from, for the checkpoint; None for random ones."""
    patience: int = 0
    """Epochs without a better score after which the training ends; 0 means never."""
    on_step: Callable[[Step], None] | None = None
    """Called after the last step of an epoch, and after others at most twice a second."""
    on_epoch: Callable[[Progress], bool] | None = None
    """Called after every epoch; the training ends if it returns False."""

    def saving(self, model: nn.Module, val: Metrics) -> Callable[[Path], None]:
        """The function that writes the weights of `model` to a file by `save`."""

        def write(path: Path) -> None:
            assert self.save is not None, "a folder needs a function that writes weights"
            self.save(path, model, val)

        return write


@dataclass(frozen=True, eq=False)
class Trained:
    """A training that is finished or was stopped."""

    model: nn.Module
    """The trained network in evaluation mode; the averaged one if the recipe has EMA."""
    val: Metrics
    curve: tuple[Progress, ...]
    """One entry per epoch."""

    @property
    def score(self) -> float:
        """The task's metric on val after the last epoch."""
        return self.curve[-1].score

    @property
    def best(self) -> Progress:
        """The first epoch with the highest score."""
        best = best_of(_scores(self.curve))
        assert best is not None
        return self.curve[best]


def train(  # noqa: PLR0913 - the whole of a training, by name
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    resolution: int,
    device: torch.device,
    seed: int,
    teacher: Teacher | None = None,
    metric: Metric = ACCURACY,
    outputs: Outputs | None = None,
) -> Trained:
    """Train `model` in place on data.train, and measure it on data.val after every epoch.

    The same seed gives the same result, bit for bit on one CPU thread. If the checkpoint of `outputs`
    exists, the training continues from it, to the same result as without the interruption. A recipe with
    `distill` needs a `teacher`, and other recipes ignore it. `metric` scores the epochs. Raises
    `NonFiniteLossError`, `TrialMemoryError`, `TrialError` for a metric that is no number, `UsageError`
    without a teacher that is needed, and `RunError` for a checkpoint of another training.
    """
    check_teacher(recipe, teacher)
    outputs, teacher, data = (
        outputs or Outputs(),
        teacher if recipe.distill else None,
        data.fitted(recipe.fit),
    )
    with ExitStack() as during:
        during.enter_context(seeded(seed, device))
        during.enter_context(memory_errors(f"training at {resolution} px in batches of {recipe.batch_size}"))
        model = model.to(device).to(memory_format=torch.channels_last)
        frozen = during.enter_context(freezing(model, recipe))
        optimizer = optim.optimizer(model, recipe)
        ema = optim.averaged(model, recipe)
        during.enter_context(widened(model, device))  # the average, copied above, needs none of it
        measured = model if ema is None else ema.module
        mix = optim.mixer(recipe, len(data.classes))
        weights = optim.importances(recipe, data, device)
        half = half_precision(device)
        scaler = torch.amp.GradScaler(device.type, enabled=half is torch.float16)
        generator = torch.Generator().manual_seed(seed)
        mean, std = moments(model, data, device)

        identity = {
            "recipe": recipe.to_yaml(),
            "data": data.fingerprint,
            "resolution": resolution,
            "seed": seed,
            "normalization": _listed(data),
            "metric": None if metric == ACCURACY else metric.name,
            "start": outputs.start,
        }
        identity |= {} if teacher is None else {"teacher": teacher.fingerprint}
        parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "scaler": scaler}
        parts |= {} if ema is None else {"ema": ema}
        earlier = {"data": data.earlier_fingerprints}
        entries = restore(outputs.checkpoint, identity, parts, generator, device, earlier)
        curve = [Progress.read(entry) for entry in entries]
        folder = during.enter_context(TrainingFolder.opened(outputs.folder, continued=bool(curve)))
        start = time.perf_counter() - (curve[-1].seconds if curve else 0.0)

        val = None
        while len(curve) < recipe.epochs and not is_out_of_patience(_scores(curve), outputs.patience):
            epoch = len(curve)
            model.train()
            keep_frozen(frozen)
            losses: list[Tensor] = []
            groups = optim.drawn(recipe, data.train.labels, generator)
            crops = _crops(recipe, groups, generator)
            show = _Shown(outputs.on_step, Pace(epoch, recipe.epochs, len(groups)))
            for step, (images, labels) in enumerate(data.train.batches(resolution, device, groups, crops)):
                optim.set_learning_rate(optimizer, recipe, (epoch + step / len(groups)) / recipe.epochs)
                images = augment(images, recipe.augmentation, generator)
                images = change(images, recipe.policy, recipe.magnitude, generator)
                images = erase(normalise(images, mean, std), recipe.erasing, generator)
                images, labels = mix(images, labels)
                with torch.autocast(device.type, dtype=half, enabled=half is not None):
                    logits = model(images)
                    loss = F.cross_entropy(logits, labels, weights, label_smoothing=recipe.label_smoothing)
                    loss = loss if teacher is None else taught(loss, logits, teacher(images), recipe)
                losses.append(loss.detach())
                if device.type == "cpu" and not loss.isfinite():  # a GPU would have to synchronize for it
                    break
                optimizer.zero_grad()
                scaler.scale(loss).backward()
                if recipe.clip_norm:
                    scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
                scaler.step(optimizer)
                scaler.update()
                if ema is not None:
                    ema.update_parameters(model)
                show(step, loss)

            _check_training(losses, epoch, len(groups), recipe)
            recalibrate(measured, data, resolution=resolution, device=device)
            val = evaluate(measured, data, "val", resolution=resolution, device=device, metric=metric)
            _check_val(val, epoch)
            mean_loss = torch.stack(losses).mean().item()
            seconds = time.perf_counter() - start
            lr = optim.learning_rate(recipe, (epoch + step / len(groups)) / recipe.epochs)
            curve.append(Progress(epoch + 1, recipe.epochs, val.score, mean_loss, seconds, lr, _numbers(val)))
            folder.write(list(map(_row, curve)), is_improved(_scores(curve)), outputs.saving(measured, val))
            save(outputs.checkpoint, identity, parts, generator, device, list(map(asdict, curve)))
            if outputs.on_epoch is not None and not outputs.on_epoch(curve[-1]):
                break

        if val is None:  # the checkpoint is of a finished training
            val = evaluate(measured, data, "val", resolution=resolution, device=device, metric=metric)
        return Trained(measured.requires_grad_().eval(), val, tuple(curve))


def _crops(recipe: Recipe, groups: Sequence[Tensor], generator: torch.Generator) -> list[Tensor] | None:
    """Random boxes [B, 4] for each group of an epoch's images; None if the recipe shows them whole."""
    if recipe.crop_area == 1:
        return None
    return [random_crops(len(group), recipe.crop_area, generator) for group in groups]


class _Shown:
    """Calls ``on_step`` after a step, if the last call was not just before."""

    def __init__(self, on_step: Callable[[Step], None] | None, pace: Pace) -> None:
        self.on_step = on_step
        self.pace = pace
        self.last = -math.inf

    def __call__(self, step: int, loss: Tensor) -> None:
        if self.on_step is None:
            return
        now = time.perf_counter()
        if now - self.last >= _QUIET or step + 1 == self.pace.steps:
            self.last = now
            self.on_step(self.pace.after(step, loss.item()))


def _scores(curve: Sequence[Progress]) -> list[float]:
    return [entry.score for entry in curve]


def _numbers(val: Metrics) -> dict[str, float]:
    """The metrics of val that are numbers, for `Progress`."""
    return {f"val_{name}": value for name, value in vars(val).items() if isinstance(value, float)}


def _row(entry: Progress) -> Row:
    """The numbers of an epoch by the columns of ``results.csv``."""
    head = {"epoch": entry.epoch, "seconds": round(entry.seconds, 1), "lr": entry.lr, "loss": entry.loss}
    return head | dict(entry.numbers)


def _listed(data: ImageData) -> list[list[float]] | None:
    """The mean and deviation that were set for these data, None if they are their own."""
    return None if data.normalization is None else [tensor.tolist() for tensor in data.normalization]


def _check_val(val: Metrics, epoch: int) -> None:
    """Raise `NonFiniteLossError` if the loss on val is infinite or NaN."""
    if not math.isfinite(val.loss):
        raise NonFiniteLossError(f"loss on val is {val.loss} after epoch {epoch + 1}")


def _check_training(losses: Sequence[Tensor], epoch: int, steps: int, recipe: Recipe) -> None:
    """Raise `NonFiniteLossError` for the first loss of the epoch that is infinite or NaN."""
    bad = (~torch.stack(list(losses)).isfinite()).nonzero()
    if len(bad):
        step = int(bad[0])
        lr = optim.learning_rate(recipe, (epoch + step / steps) / recipe.epochs)
        where = f"epoch {epoch + 1} of {recipe.epochs}, step {step + 1} of {steps}"
        raise NonFiniteLossError(f"loss is {losses[step].item()} in {where}, at learning rate {lr:.4g}")
