"""How much of a training step do the augmentations of a recipe take, and how much do frozen stages save?

    OMP_NUM_THREADS=1 python -m experiments.recipe_speed [--side 64 --side 96]

A step is one of EfficientNet-Lite0 with 32 images that are stored at 160 pixels, on one thread of a CPU.
Times are that thread's own and the least of several, so other jobs disturb little. Costs two minutes.
Expected: a policy takes 2 to 5 % of a step, anything else 3 % or less; four frozen stages of seven save
three tenths of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nars.data import MemorySplit, augment, normalise, random_crops
from nars.data.policies import change, erase
from nars.networks.build import build
from nars.spec import Recipe
from nars.training import batches, updates
from nars.training.stages import freezing, keep_frozen
from search_spaces.catalogue import published

CPU = torch.device("cpu")
BATCH, STORED, CLASSES = 32, 160, 10
"""Images of a step, their side as stored, and classes."""

FROZEN = (0.0, 0.3, 0.5, 0.6)
"""Shares of frozen stages: none, two, three and four of seven."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", action="append", type=int, help="resolution in pixels; repeatable")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for side in options.side or [64, 96]:
        rounds = [[step_seconds(side, share) for share in FROZEN] for _ in range(3)]
        steps = dict(zip(FROZEN, map(min, zip(*rounds, strict=True)), strict=True))
        whole = steps[0.0]
        print(f"{side} px: a step takes {whole * 1e3:.0f} ms, {BATCH / whole:.0f} images per second")
        for share in FROZEN[1:]:
            print(f"  frozen {share}: {steps[share] / whole:.0%} of it")
        for name, call in augmentations(side).items():
            seconds = fastest(call, 20)
            print(f"  {name}: {BATCH / seconds:,.0f} images per second, {seconds / whole:.1%} of a step")


def step_seconds(side: int, share: float) -> float:
    """Seconds of a training step with a share of the stages frozen."""
    recipe = Recipe(frozen=share)
    model = build(published("efficientnet_lite0"), CLASSES).to(memory_format=torch.channels_last)
    images = torch.rand(BATCH, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % CLASSES
    with freezing(model, recipe) as frozen:
        model.train()
        keep_frozen(frozen)
        optimizer = updates.optimizer(model, recipe)
        return fastest(partial(step, model, optimizer, images, labels), 5)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """One step as `nars.training.loop` makes it."""
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


def augmentations(side: int) -> Mapping[str, Callable[[], object]]:
    """The calls that augment one batch, by the name of the augmentation."""
    drawing = torch.Generator().manual_seed(0)
    stored = smooth(STORED)
    split, numbers = MemorySplit(stored, torch.arange(BATCH) % CLASSES), [torch.arange(BATCH)]
    crops = [random_crops(BATCH, 0.5, drawing)]
    pixels = smooth(side)
    floats = normalise(pixels, torch.full((3,), 0.5), torch.full((3,), 0.25))
    mixup, cutmix = (batches.mixer(recipe, CLASSES) for recipe in (Recipe(mixup=0.2), Recipe(cutmix=0.2)))
    return {
        "random crops": lambda: list(split.batches(side, CPU, numbers, crops)),
        "flips and shifts": lambda: augment(pixels, "flip_shift", drawing),
        "TrivialAugment": lambda: change(pixels, "trivial_augment", 9, drawing),
        "RandAugment": lambda: change(pixels, "rand_augment", 9, drawing),
        "erasing": lambda: erase(floats, 0.5, drawing),
        "mixup": lambda: mixup(floats, split.labels),
        "CutMix": lambda: cutmix(floats, split.labels),
    }


def smooth(side: int) -> Tensor:
    """A batch of random pictures uint8 [N, 3, side, side] without noise between pixels, like photos."""
    coarse = torch.rand(BATCH, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    return (F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


def fastest(call: Callable[[], object], times: int) -> float:
    """The least of the thread's seconds over `times` calls, after one call that is not counted."""
    call()
    seconds = []
    for _ in range(times):
        start = time.thread_time()
        call()
        seconds.append(time.thread_time() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
