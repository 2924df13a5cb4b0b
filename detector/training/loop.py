"""Training of a detector: one loop, in the open.

Every step seeds the generators from seed, epoch, step and rank, and every sample its own. So a
training hangs on nothing but its place, and goes on from a checkpoint to the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from detector import distributed
from detector.data.records import CocoData
from detector.evaluation.coco_ap import Evaluation
from detector.model.detector import Detector
from detector.training.dataset import DetectionDataset
from detector.training.hyperparameters import Training
from detector.training.logs import Logs
from detector.training.progress import Epoch, RunningMeans, Step
from detector.training.trainer import Trainer
from detector.weights.saved import save_detector
from nars.device import memory_errors, seeded
from nars.errors import NonFiniteLossError, UsageError
from nars.training.small_maps import widened

__all__ = ["Outputs", "TrainedDetector", "train"]


@dataclass(frozen=True)
class Outputs:
    """What a training leaves behind and who watches it; none of it changes the result.

    In `folder`: ``weights/best.pt``, ``weights/last.pt``, ``results.csv``, TensorBoard's files where
    it is installed, and ``checkpoint.pt``, from which an interrupted training goes on.
    """

    folder: Path | None = None
    workers: int = 0
    """Processes that load images."""
    checkpoint_steps: int = 100
    on_step: Callable[[Step], None] | None = None
    on_epoch: Callable[[Epoch], bool] | None = None
    """Returning False ends the training there."""


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """A training that is finished or was stopped."""

    model: Detector
    """After the last step, in evaluation mode; the averaged one where there is an average."""
    evaluation: Evaluation
    """Of `model` on val."""
    history: tuple[Epoch, ...]

    @property
    def best(self) -> Epoch:
        """The first epoch with the highest AP."""
        return max((each for each in self.history if each.ap is not None), key=lambda each: each.ap or 0.0)


def train(
    model: Detector,
    data: CocoData,
    training: Training,
    *,
    device: torch.device,
    seed: int,
    outputs: Outputs | None = None,
) -> TrainedDetector:
    """Train `model` in place on data.train, measuring it on data.val.

    Same seed, same result, bit for bit on one CPU thread. The processes of `detector.distributed`
    share every step. Raises `NonFiniteLossError` that names the images, `TrialMemoryError`,
    `DataError`, and `RunError` where the folder's checkpoint is of another training.
    """
    outputs = outputs or Outputs()
    if model.settings.resize_in_training:
        raise UsageError("the loader resizes: build the detector with settings.resize_in_training off")
    with ExitStack() as during:
        during.enter_context(seeded(seed, device))
        during.enter_context(memory_errors(f"training in batches of {training.batch_size} images"))
        trainer = Trainer(model, data, training, device, seed, outputs.workers)
        during.enter_context(widened(model, device))  # the average, copied before, has no need of it
        logs = Logs(outputs.folder if distributed.is_first() else None)
        during.callback(logs.close)
        checkpoint = None if outputs.folder is None else outputs.folder / "checkpoint.pt"
        if checkpoint is not None:
            trainer.restore(checkpoint)
        evaluation = None
        while not trainer.finished:
            _epoch(trainer, outputs, checkpoint)
            evaluation = _finish_epoch(trainer, outputs, logs)
            if checkpoint is not None:
                trainer.save(checkpoint)
            if outputs.on_epoch is not None and not outputs.on_epoch(trainer.history[-1]):
                break
        if evaluation is None:  # the checkpoint was of a finished training, or an epoch wasn't measured
            evaluation = trainer.measure()
        trainer.measured.eval()
        return TrainedDetector(trainer.measured, evaluation, tuple(trainer.history))


def _epoch(trainer: Trainer, outputs: Outputs, checkpoint: Path | None) -> None:
    """The steps that are left of the present epoch."""
    training, epoch, device = trainer.training, len(trainer.history), trainer.device
    steps, first, began = trainer.batches.steps_per_epoch, trainer.place.step, time.perf_counter()
    trainer.batches.start(epoch, first)
    trainer.model.train()
    for step, (images, targets) in enumerate(trainer.loader, start=first):
        _seed_step(trainer.seed, epoch, step, device)
        trainer.set_lr((epoch + step / steps) / training.epochs)
        pictures = [image.to(device, non_blocking=True) for image in images]
        truths = [{name: target[name].to(device) for name in trainer.needed} for target in targets]
        try:
            with torch.autocast(device.type, dtype=trainer.half, enabled=trainer.half is not None):
                losses: dict[str, Tensor] = trainer.stepped(pictures, truths)
            loss = torch.stack(list(losses.values())).sum()
            if not loss.isfinite():
                raise NonFiniteLossError(f"loss is {loss.item()}")
        except NonFiniteLossError as error:
            where = f"epoch {epoch + 1} of {training.epochs}, step {step + 1} of {steps}"
            files = _names(trainer.dataset, targets)
            raise NonFiniteLossError(f"{error}; in {where}, of the images {files}") from None
        trainer.optimizer.zero_grad()
        trainer.scaler.scale(loss).backward()
        if training.clip_norm:
            trainer.scaler.unscale_(trainer.optimizer)
            nn.utils.clip_grad_norm_(trainer.model.parameters(), training.clip_norm)
        trainer.scaler.step(trainer.optimizer)
        trainer.scaler.update()
        if trainer.ema is not None:
            trainer.ema.update_parameters(trainer.model)

        trainer.place.add(losses | {"loss": loss} | trainer.model.counts)
        if outputs.on_step is not None:
            pace = (time.perf_counter() - began) / (step + 1 - first)
            left = pace * (steps * (training.epochs - epoch) - step - 1)
            outputs.on_step(Step(epoch + 1, training.epochs, step + 1, steps, loss.item(), left))
        if checkpoint is not None and (step + 1) % outputs.checkpoint_steps == 0:
            trainer.save(checkpoint)


def _finish_epoch(trainer: Trainer, outputs: Outputs, logs: Logs) -> Evaluation | None:
    """Measure where it is time, write down, and keep the weights."""
    training, epoch = trainer.training, len(trainer.history) + 1
    measured = epoch % training.evaluate_every == 0 or epoch == training.epochs
    evaluation = trainer.measure() if measured else None
    means = trainer.place.means()
    entry = Epoch(
        epoch=epoch,
        epochs=training.epochs,
        lr=trainer.optimizer.param_groups[0]["lr"],
        losses={name: mean for name, mean in means.items() if "loss" in name},
        samples={name: mean for name, mean in means.items() if "loss" not in name},
        scores=None if evaluation is None else evaluation.numbers(),
        seconds=trainer.seconds,
    )
    improved = entry.ap is not None and entry.ap > trainer.best
    trainer.history.append(entry)
    trainer.place = RunningMeans()
    logs.write(trainer.history)
    if outputs.folder is not None and distributed.is_first():
        metrics = {name: value for name, value in (entry.scores or {}).items() if value is not None}
        for name in ("last.pt", "best.pt") if improved else ("last.pt",):
            save_detector(outputs.folder / "weights" / name, trainer.measured, trainer.data.classes, metrics)
    return evaluation


def _seed_step(seed: int, epoch: int, step: int, device: torch.device) -> None:
    """The heads draw their samples from the global generators."""
    place = [seed, epoch, step, distributed.rank()]
    number = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)


def _names(dataset: DetectionDataset, targets: Sequence[dict[str, Tensor]]) -> str:
    return ", ".join(str(dataset.file_of(int(target["image_id"]))) for target in targets)
