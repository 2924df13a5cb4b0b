"""Training of a classifier: one loop, in the open."""

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

from nars.data import ImageData, augment, normalise, shuffled
from nars.device import half_precision, memory_errors, seeded
from nars.errors import NonFiniteLossError
from nars.spec import Recipe
from nars.training import checkpoint as checkpoints
from nars.training import optim as recipes
from nars.training.evaluation import Metrics, evaluate, recalibrate
from nars.training.small_maps import widened

__all__ = ["Progress", "Trained", "train"]


@dataclass(frozen=True)
class Progress:
    """Where a training stands after an epoch."""

    epoch: int
    """Epochs done, from 1."""
    epochs: int
    """Epochs of the recipe."""
    accuracy: float
    """On val, in 0..1."""
    loss: float
    """Mean training loss of the epoch."""
    seconds: float
    """Since the start; of a resumed training, the time before it was interrupted included."""

    @property
    def fraction(self) -> float:
        return self.epoch / self.epochs


@dataclass(frozen=True, eq=False)
class Trained:
    """A training that is finished or was stopped."""

    model: nn.Module
    """In evaluation mode; the averaged one where the recipe has EMA."""
    val: Metrics
    curve: tuple[Progress, ...]
    """One entry for each epoch trained."""


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
    """Train `model` in place on data.train, measuring it on data.val after every epoch.

    Same seed, same result, bit for bit on one CPU thread. `on_epoch` returning False ends the
    training there. A `checkpoint` is written after every epoch and, where there is one already,
    gone on from, to the same result. Raises `NonFiniteLossError`, `TrialMemoryError`, and
    `RunError` where the checkpoint is of another training.
    """
    with ExitStack() as during:
        during.enter_context(seeded(seed, device))
        during.enter_context(memory_errors(f"training at {resolution} px in batches of {recipe.batch_size}"))
        model = model.to(device).to(memory_format=torch.channels_last)
        optimizer = recipes.optimizer(model, recipe)
        ema = recipes.averaged(model, recipe)
        during.enter_context(widened(model, device))  # the average, copied above, has no need of it
        measured = model if ema is None else ema.module
        mix = recipes.mixer(recipe, len(data.classes))
        half = half_precision(device)
        scaler = torch.amp.GradScaler(device.type, enabled=half is torch.float16)
        generator = torch.Generator().manual_seed(seed)
        mean, std = data.mean.to(device), data.std.to(device)

        identity = {
            "recipe": recipe.to_yaml(),
            "data": data.fingerprint,
            "resolution": resolution,
            "seed": seed,
        }
        parts: dict[str, checkpoints.Stateful] = {"model": model, "optimizer": optimizer, "scaler": scaler}
        if ema is not None:
            parts["ema"] = ema
        curve: list[Progress] = []
        if checkpoint is not None:
            done = checkpoints.restore(checkpoint, identity, parts, generator, device)
            curve = [Progress(**entry) for entry in done]
        start = time.perf_counter() - (curve[-1].seconds if curve else 0.0)

        val = None
        for epoch in range(len(curve), recipe.epochs):
            model.train()
            losses: list[Tensor] = []
            groups = shuffled(len(data.train), recipe.batch_size, generator)
            for step, (images, labels) in enumerate(data.train.batches(resolution, device, groups)):
                lr = recipes.learning_rate(recipe, (epoch + step / len(groups)) / recipe.epochs)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                images = normalise(augment(images, recipe.augmentation, generator), mean, std)
                images, labels = mix(images, labels)
                with torch.autocast(device.type, dtype=half, enabled=half is not None):
                    loss = F.cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)
                losses.append(loss.detach())
                if device.type == "cpu" and not loss.isfinite():  # a GPU would have to be waited for
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

            _check_finite(losses, epoch, len(groups), recipe)
            recalibrate(measured, data, resolution=resolution, device=device)
            val = evaluate(measured, data, "val", resolution=resolution, device=device)
            if not math.isfinite(val.loss):
                raise NonFiniteLossError(f"loss on val is {val.loss} after epoch {epoch + 1}")
            mean_loss = torch.stack(losses).mean().item()
            seconds = time.perf_counter() - start
            curve.append(Progress(epoch + 1, recipe.epochs, val.accuracy, mean_loss, seconds))
            if checkpoint is not None:
                entries = [asdict(entry) for entry in curve]
                checkpoints.save(checkpoint, identity, parts, generator, device, entries)
            if on_epoch is not None and not on_epoch(curve[-1]):
                break

        if val is None:  # the checkpoint was of a finished training
            val = evaluate(measured, data, "val", resolution=resolution, device=device)
        return Trained(measured.eval(), val, tuple(curve))


def _check_finite(losses: Sequence[Tensor], epoch: int, steps: int, recipe: Recipe) -> None:
    """Raise `NonFiniteLossError` for the first loss of the epoch that is infinite or not a number."""
    bad = (~torch.stack(list(losses)).isfinite()).nonzero()
    if len(bad):
        step = int(bad[0])
        lr = recipes.learning_rate(recipe, (epoch + step / steps) / recipe.epochs)
        where = f"epoch {epoch + 1} of {recipe.epochs}, step {step + 1} of {steps}"
        raise NonFiniteLossError(f"loss is {losses[step].item()} in {where}, at learning rate {lr:.4g}")
