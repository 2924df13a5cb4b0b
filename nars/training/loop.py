"""Trains a classifier: one loop, in the open."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

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
from nars.training.small_maps import widened
from nars.training.stages import freezing, keep_frozen

__all__ = ["Progress", "Trained", "train"]


@dataclass(frozen=True)
class Progress:
    """The state of a training after an epoch, in numbers."""

    epoch: int
    """Epochs done, from 1."""
    epochs: int
    """Epochs of the recipe."""
    accuracy: float
    """Accuracy on val, in 0..1; another task puts its own score here."""
    loss: float
    """Mean training loss of the epoch."""
    seconds: float
    """Seconds since the start, including those before an interruption."""

    @property
    def fraction(self) -> float:
        return self.epoch / self.epochs


@dataclass(frozen=True, eq=False)
class Trained:
    """A training that is finished or was stopped."""

    model: nn.Module
    """The trained network in evaluation mode; the averaged one if the recipe has EMA."""
    val: Metrics
    curve: tuple[Progress, ...]
    """One entry per epoch."""


def train(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    resolution: int,
    device: torch.device,
    seed: int,
    on_epoch: Callable[[Progress], bool] | None = None,
    checkpoint: Path | None = None,
) -> Trained:
    """Train `model` in place on data.train, and measure it on data.val after every epoch.

    The same seed gives the same result, bit for bit on one CPU thread. `on_epoch` ends the
    training by returning False. If `checkpoint` exists, the training continues from it, to the
    same result as without the interruption; it is rewritten after every epoch. Raises
    `NonFiniteLossError`, `TrialMemoryError`, and `RunError` for a checkpoint of another training.
    """
    data = data.fitted(recipe.fit)
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
        }
        parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "scaler": scaler}
        parts |= {} if ema is None else {"ema": ema}
        curve: list[Progress] = []
        if checkpoint is not None:
            earlier = {"data": data.earlier_fingerprints}
            entries = restore(checkpoint, identity, parts, generator, device, earlier)
            curve = [Progress(**entry) for entry in entries]
        start = time.perf_counter() - (curve[-1].seconds if curve else 0.0)

        val = None
        for epoch in range(len(curve), recipe.epochs):
            model.train()
            keep_frozen(frozen)
            losses: list[Tensor] = []
            groups = optim.drawn(recipe, data.train.labels, generator)
            crops = _crops(recipe, groups, generator)
            for step, (images, labels) in enumerate(data.train.batches(resolution, device, groups, crops)):
                optim.set_learning_rate(optimizer, recipe, (epoch + step / len(groups)) / recipe.epochs)
                images = augment(images, recipe.augmentation, generator)
                images = change(images, recipe.policy, recipe.magnitude, generator)
                images = erase(normalise(images, mean, std), recipe.erasing, generator)
                images, labels = mix(images, labels)
                with torch.autocast(device.type, dtype=half, enabled=half is not None):
                    loss = F.cross_entropy(
                        model(images), labels, weights, label_smoothing=recipe.label_smoothing
                    )
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

            _check_training(losses, epoch, len(groups), recipe)
            recalibrate(measured, data, resolution=resolution, device=device)
            val = evaluate(measured, data, "val", resolution=resolution, device=device)
            _check_val(val, epoch)
            mean_loss = torch.stack(losses).mean().item()
            seconds = time.perf_counter() - start
            curve.append(Progress(epoch + 1, recipe.epochs, val.accuracy, mean_loss, seconds))
            if checkpoint is not None:
                entries = [asdict(entry) for entry in curve]
                save(checkpoint, identity, parts, generator, device, entries)
            if on_epoch is not None and not on_epoch(curve[-1]):
                break

        if val is None:  # the checkpoint is of a finished training
            val = evaluate(measured, data, "val", resolution=resolution, device=device)
        return Trained(measured.requires_grad_().eval(), val, tuple(curve))


def _crops(recipe: Recipe, groups: Sequence[Tensor], generator: torch.Generator) -> list[Tensor] | None:
    """Random boxes [B, 4] for each group of an epoch's images; None if the recipe shows them whole."""
    if recipe.crop_area == 1:
        return None
    return [random_crops(len(group), recipe.crop_area, generator) for group in groups]


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
