"""Trains a toy detector, in one process or in several; `test_two_processes.py` starts it by torchrun.

    torchrun --nproc-per-node 2 tests/detector/training/two_processes.py OUT EPOCHS NORM SEED

Ends after EPOCHS, and continues from the checkpoint beside OUT if there is one. Writes the weights and the
scores to OUT.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

import toys

from detector.training.hyperparameters import Training
from detector.training.loop import Outputs, train
from nars import parallel


def main(out: Path, epochs: int, norm: str, seed: int) -> None:
    torch.set_num_threads(1)
    with parallel.joined("cpu") as device:
        data = toys.squares(train=16, val=8)  # images and numbers of objects differ
        model = toys.model(norm=norm, rpn_nms=1.0, train_proposals=60)  # more than the heads sample
        training = Training(
            epochs=2, batch_size=8, lr=0.02, lr_images=8, flip=0.5, jitter=(0.8, 1.2), ema=True, ema_decay=0.9
        )
        outputs = Outputs(
            checkpoint=out.with_suffix(".checkpoint"), on_epoch=lambda epoch: epoch.epoch < epochs
        )
        trained = train(model, data, training, device=device, seed=seed, outputs=outputs)
        if parallel.is_first():
            losses = [dict(epoch.losses) for epoch in trained.history]
            state = trained.model.state_dict()
            torch.save({"state": state, "losses": losses, "scores": trained.evaluation.numbers()}, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
