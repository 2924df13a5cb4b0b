"""Single training steps of a network beside others, to measure what they leave unused of a GPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nars.data import ImageData, normalise, shuffled
from nars.device import half_precision, kernels_for
from nars.spec import Recipe
from nars.training import batches, updates
from nars.training.evaluation import moments
from nars.training.step import Step
from nars.training.teacher import Teacher

__all__ = ["rehearsal"]


def rehearsal(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    resolution: int,
    device: torch.device,
    teacher: Teacher | None = None,
) -> Callable[[], Tensor]:
    """A function that makes a training step of `model`, the same each time: it learns its first batch.

    The step is that of `nars.training.loop.train`, with its kernels, without augmentation. Its result is the
    loss, which nobody has to wait for.
    """
    model = model.to(device).to(memory_format=torch.channels_last).train()
    optimizer = updates.optimizer(model, recipe)
    learn = Step(
        model,
        recipe,
        optimizer,
        torch.amp.GradScaler(device.type, enabled=half_precision(device) is torch.float16),
        device=device,
        ema=updates.averaged(model, recipe),
        class_weights=batches.importances(recipe, data, device),
        teacher=teacher if recipe.distill else None,
    )
    first = shuffled(len(data.train), recipe.batch_size, torch.Generator().manual_seed(0))[:1]
    images, labels = next(iter(data.train.batches(resolution, device, first)))
    images, labels = batches.mixer(recipe, len(data.classes))(
        normalise(images, *moments(model, data, device)), labels
    )

    def step() -> Tensor:
        with kernels_for(len(data.train) * recipe.epochs * resolution**2):
            return learn(images, labels, 0.5)

    return step
