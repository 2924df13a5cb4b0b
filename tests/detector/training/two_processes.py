"""Does one step of training, in one process or in several; `test_distributed.py` starts it by torchrun.

    torchrun --nproc-per-node 2 tests/detector/training/two_processes.py OUT BATCH NORM

Writes the weights after the step and the scores to OUT.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

import toys

from detector import distributed
from detector.data.records import CocoData, Subset
from detector.training.hyperparameters import Training
from detector.training.loop import train


def even(subset: Subset, count: int) -> Subset:
    """Return images of one size with two squares each, so every process has the same work."""
    fit = [image for image in subset.images if len(subset.by_image[image.id]) == 2 and image.width == 60]
    assert len(fit) >= count
    images = tuple(fit[:count])
    annotations = tuple(annotation for image in images for annotation in subset.by_image[image.id])
    return replace(subset, images=images, annotations=annotations)


def main(out: Path, batch: int, norm: str) -> None:
    torch.set_num_threads(1)
    with distributed.joined("cpu") as device:
        data = toys.squares(train=120, val=8)
        data = CocoData(even(data.train, 8), data.val)
        # Nothing is drawn: every anchor and every proposal counts, and there are as many for each image.
        model = toys.model(
            norm=norm,
            rpn_samples=1024,
            rpn_positives=1.0,
            box_samples=22,  # 20 proposals and 2 squares
            box_positives=1.0,
            rpn_nms=1.0,
            train_proposals=20,
            train_candidates=20,
        )
        training = Training(
            epochs=1, batch_size=batch, lr=0.02, lr_images=8, flip=0, warmup_epochs=0, ema=False
        )
        trained = train(model, data, training, device=device, seed=0)
        if distributed.is_first():
            scores = trained.evaluation.numbers()
            torch.save({"state": trained.model.state_dict(), "scores": scores}, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
