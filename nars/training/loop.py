"""Trains a classifier: one loop, in the open."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nars import parallel
from nars.data import ImageData, augment, normalise, random_crops
from nars.data.policies import change, erase
from nars.device import half_precision, kernels_for, memory_errors, seeded
from nars.errors import DataError, NonFiniteLossError
from nars.spec import Architecture, Recipe
from nars.training import batches, updates
from nars.training.checkpoint import Stateful, restore, save
from nars.training.evaluation import Metrics, evaluate, moments, recalibrate
from nars.training.folder import TrainingFolder
from nars.training.metrics import ACCURACY, Metric
from nars.training.outputs import Outputs, numbers_of, row, scores
from nars.training.passes import Forward, widened
from nars.training.patience import best_of, is_improved, is_out_of_patience
from nars.training.progress import Pace, Progress
from nars.training.stages import freezing, keep_frozen
from nars.training.step import Step
from nars.training.teacher import Teacher, check_teacher

__all__ = ["Outputs", "Progress", "Trained", "train"]


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
        best = best_of(scores(self.curve))
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
    `distill` needs a `teacher`, and other recipes ignore it. `metric` scores the epochs. The processes of
    `nars.parallel` share every step, to the result of one process, and the first one writes. Raises
    `NonFiniteLossError`, `TrialMemoryError`, `TrialError` for a metric that is no number and for a batch of
    one image that a batch norm cannot learn from, `UsageError` without a teacher that is needed, `DataError`
    for images in colour and a network of one channel, and `RunError` for a checkpoint of another training.
    """
    check_teacher(recipe, teacher)
    _check_channels(model, data)
    outputs, teacher, data = (
        outputs or Outputs(),
        teacher if recipe.distill else None,
        data.fitted(recipe.fit),
    )
    with ExitStack() as during:
        during.enter_context(seeded(seed, device))
        during.enter_context(kernels_for(len(data.train) * recipe.epochs * resolution**2))
        during.enter_context(memory_errors(f"training at {resolution} px in batches of {recipe.batch_size}"))
        model = parallel.synchronized(model.to(device).to(memory_format=torch.channels_last))
        frozen = during.enter_context(freezing(model, recipe))
        optimizer = updates.optimizer(model, recipe)
        ema = updates.averaged(model, recipe)
        during.enter_context(widened(model, device))  # the average, copied above, needs none of it
        measured = model if ema is None else ema.module
        mix = batches.mixer(recipe, len(data.classes))
        scaler = torch.amp.GradScaler(device.type, enabled=half_precision(device) is torch.float16)
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
            "architecture": _layers(outputs.architecture),
        }
        identity |= {} if teacher is None else {"teacher": teacher.fingerprint}
        parallel.check_same(identity | {"half precision": str(half_precision(device))})
        parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "scaler": scaler}
        parts |= {} if ema is None else {"ema": ema}
        earlier = {"data": data.earlier_fingerprints, "architecture": (None,)}  # it was not written
        curve = restore(outputs.checkpoint, identity, parts, generator, device, Progress.read, earlier)
        written = outputs.folder if parallel.is_first() else None
        folder = during.enter_context(TrainingFolder.opened(written, continued=bool(curve)))
        start = time.perf_counter() - (curve[-1].seconds if curve else 0.0)
        schedule = updates.scheduled(recipe, math.ceil(len(data.train) / recipe.batch_size))
        learn = Step(
            model,
            schedule,
            optimizer,
            scaler,
            device=device,
            ema=ema,
            class_weights=batches.importances(recipe, data, device),
            teacher=teacher,
        )

        calibrating, measuring = (Forward(measured, device, recorded=True) for _ in range(2))

        val = None
        while len(curve) < recipe.epochs and not is_out_of_patience(scores(curve), outputs.patience):
            epoch = len(curve)
            model.train()
            keep_frozen(frozen)
            losses: list[Tensor] = []
            groups = batches.drawn(recipe, data.train.labels, generator)
            crops = _crops(recipe, groups, generator)
            show = outputs.shown(Pace(epoch, recipe.epochs, len(groups)))
            for step, (images, labels) in enumerate(data.train.batches(resolution, device, groups, crops)):
                images = augment(images, recipe.augmentation, generator)
                images = change(images, recipe.policy, recipe.magnitude, generator)
                images = erase(normalise(images, mean, std), recipe.erasing, generator)
                images, labels = mix(images, labels)
                loss = learn(images, labels, (epoch + step / len(groups)) / recipe.epochs)
                losses.append(loss)
                if device.type == "cpu" and not loss.isfinite():  # a GPU would have to synchronize for it
                    break
                show(step, loss)

            _check_training(losses, epoch, len(groups), schedule)
            recalibrate(measured, data, resolution=resolution, device=device, forward=calibrating)
            val = evaluate(
                measured, data, "val", resolution=resolution, device=device, metric=metric, forward=measuring
            )
            _check_val(val, epoch)
            mean_loss = torch.stack(losses).mean().item()
            seconds = time.perf_counter() - start
            lr = updates.learning_rate(schedule, (epoch + step / len(groups)) / recipe.epochs)
            numbers = numbers_of(val, metric)
            curve.append(Progress(epoch + 1, recipe.epochs, val.score, mean_loss, seconds, lr, numbers))
            folder.write(list(map(row, curve)), is_improved(scores(curve)), outputs.saving(measured, val))
            save(outputs.checkpoint, identity, parts, generator, device, list(map(asdict, curve)))
            if not parallel.agreed(outputs.goes_on(curve[-1])):
                break

        if val is None:  # the checkpoint is of a finished training
            val = evaluate(measured, data, "val", resolution=resolution, device=device, metric=metric)
        return Trained(measured.requires_grad_().eval(), val, tuple(curve))


def _crops(recipe: Recipe, groups: Sequence[Tensor], generator: torch.Generator) -> list[Tensor] | None:
    """Random boxes [B, 4] for each group of an epoch's images; None if the recipe shows them whole."""
    if recipe.crop_area == 1:
        return None
    return [random_crops(len(group), recipe.crop_area, generator) for group in groups]


def _layers(architecture: Architecture | None) -> dict[str, Any] | None:
    """The fields of an architecture that decide what its network computes, besides the resolution."""
    if architecture is None:
        return None
    return architecture.model_dump(mode="json", exclude_defaults=True, exclude={"name", "resolution"})


def _listed(data: ImageData) -> list[list[float]] | None:
    """The mean and deviation that were set for these data, None if they are their own."""
    return None if data.normalization is None else [tensor.tolist() for tensor in data.normalization]


def _check_channels(model: nn.Module, data: ImageData) -> None:
    """Raise `DataError` if `model` would see the training images without their colours."""
    if getattr(model, "in_channels", 3) == 1 < data.size.channels:
        held = f"those of {data.name} to train on are held in colour"
        raise DataError(f"this network takes grey images, {held}")


def _check_val(val: Metrics, epoch: int) -> None:
    """Raise `NonFiniteLossError` if the loss on val is infinite or NaN."""
    if not math.isfinite(val.loss):
        raise NonFiniteLossError(f"loss on val is {val.loss} after epoch {epoch + 1}")


def _check_training(losses: Sequence[Tensor], epoch: int, steps: int, recipe: Recipe) -> None:
    """Raise `NonFiniteLossError` for the first loss of the epoch that is infinite or NaN."""
    bad = (~torch.stack(list(losses)).isfinite()).nonzero()
    if len(bad):
        step = int(bad[0])
        lr = updates.learning_rate(recipe, (epoch + step / steps) / recipe.epochs)
        where = f"epoch {epoch + 1} of {recipe.epochs}, step {step + 1} of {steps}"
        raise NonFiniteLossError(f"loss is {losses[step].item()} in {where}, at learning rate {lr:.4g}")
