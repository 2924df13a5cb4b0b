"""Trains a small classifier, in one process or in several; `test_two_processes.py` starts it by torchrun.

    torchrun --nproc-per-node 2 tests/nars/training/two_processes.py OUT EPOCHS [--dropout P] [--second SEED]

Ends after EPOCHS, and continues from the checkpoint beside OUT if there is one. Writes the weights and the
loss on val of every epoch to OUT.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from nars import parallel
from nars.data.arrays import from_arrays
from nars.device import seeded
from nars.errors import NarsError
from nars.networks.build import build
from nars.spec import Architecture, Block, Recipe
from nars.training.loop import Outputs, train
from nars.training.teacher import Teacher

ARCHITECTURE = Architecture(
    name="tiny",
    resolution=8,
    stages=(
        (Block(op="conv", channels=8, kernel=3, stride=2),),
        (Block(op="mbconv", channels=8, kernel=3, expansion=2, se="hsigmoid"),),
        (Block(op="mbpool", channels=16, expansion=2),),
    ),
)
RECIPE = Recipe(
    epochs=3,
    batch_size=15,  # which two processes cannot share evenly
    lr=0.05,
    optimizer="sgd",
    ema=True,
    mixup=0.2,
    policy="trivial_augment",
    class_weights="balanced",
    clip_norm=1.0,
    distill=0.3,
)


def main(out: Path, epochs: int, dropout: float, second: int) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    labels = np.minimum(np.arange(700) % 5, 2)  # the last class is more frequent
    images = rng.normal(60 + 60 * labels[:, None, None], 25, (700, 8, 8)).clip(0, 255).astype(np.uint8)
    data = from_arrays(
        "shades",
        {"x_train": images[:100], "y_train": labels[:100], "x_val": images[100:], "y_val": labels[100:]},
    )
    recipe = RECIPE.replace(dropout=dropout)
    with parallel.joined("cpu") as device:
        with seeded(0, device):
            network = build(ARCHITECTURE, 3, recipe)
            teacher = Teacher(build(ARCHITECTURE, 3), ARCHITECTURE.resolution)
        trained = train(
            network,
            data,
            recipe,
            resolution=ARCHITECTURE.resolution,
            device=device,
            seed=second if parallel.rank() == 1 else 0,
            teacher=teacher,
            outputs=Outputs(
                checkpoint=out.with_suffix(".checkpoint"), on_epoch=lambda progress: progress.epoch < epochs
            ),
        )
        if parallel.is_first():
            losses = [entry.numbers["val_loss"] for entry in trained.curve]
            torch.save({"state": trained.model.state_dict(), "losses": losses}, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("epochs", type=int)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--second", type=int, default=0, help="seed of the second process")
    options = parser.parse_args()
    try:
        main(options.out, options.epochs, options.dropout, options.second)
    except NarsError as error:
        sys.exit(str(error))
