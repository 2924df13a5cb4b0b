"""Trains a detector: one loop, in the open.

Every step seeds the generators from seed, epoch and step, and every sample is seeded on its
own. Each step therefore depends only on these numbers and the state before it, and a training that
continues from a checkpoint reaches the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from detector.data.records import CocoData
from detector.evaluation.loop import Evaluation
from detector.model.detector import Detector
from detector.training.hyperparameters import Training
from detector.training.progress import Epoch, RunningMeans
from detector.training.trainer import Trainer
from detector.weights.saved import save_detector
from nars import parallel
from nars.device import kernels_for, memory_errors, seeded
from nars.errors import NonFiniteLossError, UsageError
from nars.training.folder import TrainingFolder
from nars.training.passes import widened
from nars.training.patience import best_of, is_improved
from nars.training.progress import Pace, Step

__all__ = ["Outputs", "TrainedDetector", "train"]

_STEPS_UNREAD = 20
"""Steps on a GPU between two looks at their losses, for which it has to wait."""


@dataclass(frozen=True)
class Outputs:
    """The files that a training writes, and its callbacks; nothing here changes the result.

    The `folder` gets ``weights/best.pt``, ``weights/last.pt``, ``results.csv``, TensorBoard's files
    if it is installed, and ``checkpoint.pt``, from which an interrupted training continues.
    """

    folder: Path | None = None
    data: str | None = None
    """Name of the data, which the detector's files record."""
    workers: int | None = None
    """Processes that load images; None chooses."""
    checkpoint: Path | None = None
    """A file for the checkpoint of a training without a `folder`."""
    checkpoint_steps: int = 100
    """Steps between two checkpoints within an epoch."""
    on_step: Callable[[Step], None] | None = None
    """Called after every step."""
    on_epoch: Callable[[Epoch], bool] | None = None
    """Called after every epoch; the training ends if it returns False."""

    def goes_on(self, epoch: Epoch) -> bool:
        """Whether the training goes on after an epoch, as `on_epoch` says."""
        return self.on_epoch is None or self.on_epoch(epoch)


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """The result of a training that is finished or was stopped."""

    model: Detector
    """The detector after the last step, averaged if the training averages, in evaluation mode."""
    evaluation: Evaluation
    """The scores of `model` on val."""
    history: tuple[Epoch, ...]

    @property
    def best(self) -> Epoch:
        """The first epoch with the highest AP."""
        best = best_of([epoch.ap for epoch in self.history])
        assert best is not None, "the last epoch is always measured"
        return self.history[best]


def train(
    model: Detector,
    data: CocoData,
    training: Training,
    *,
    device: torch.device,
    seed: int,
    outputs: Outputs | None = None,
) -> TrainedDetector:
    """Train `model` in place on data.train, and measure it on data.val.

    On one CPU thread, equal seeds give bitwise equal results. The processes of
    `nars.parallel` share every step. Raises `NonFiniteLossError` that names the images,
    `TrialMemoryError`, `DataError`, and `RunError` if the folder's checkpoint is of another training.
    """
    outputs = outputs or Outputs()
    if model.settings.resize_in_training:
        raise UsageError("the loader resizes: build the detector with settings.resize_in_training off")
    with ExitStack() as stack:
        stack.enter_context(seeded(seed, device))
        stack.enter_context(memory_errors(f"training in batches of {training.batch_size} images"))
        trainer = Trainer(model, data, training, device, seed, outputs.workers)
        stack.enter_context(kernels_for(trainer.pixels))
        stack.enter_context(widened(model, device))  # the average, copied before, does not need this
        written = outputs.folder if parallel.is_first() else None
        folder = stack.enter_context(TrainingFolder.opened(written))
        in_folder = None if outputs.folder is None else TrainingFolder.checkpoint(outputs.folder)
        checkpoint = in_folder or outputs.checkpoint  # every process continues from it
        if checkpoint is not None:
            trainer.restore(checkpoint)
        evaluation = None
        while not trainer.finished:
            _epoch(trainer, outputs, checkpoint)
            evaluation = _finish_epoch(trainer, outputs, folder)
            if checkpoint is not None:
                trainer.save(checkpoint)
            if not parallel.agreed(outputs.goes_on(trainer.history[-1])):
                break
        if evaluation is None:  # the last epoch was not measured, or was done before this call
            evaluation = trainer.measure()
        trainer.final_model.eval()
        return TrainedDetector(trainer.final_model, evaluation, tuple(trainer.history))


def _epoch(trainer: Trainer, outputs: Outputs, checkpoint: Path | None) -> None:
    """Do the remaining steps of the current epoch."""
    training, epoch = trainer.training, len(trainer.history)
    steps, first = trainer.batches.steps_per_epoch, trainer.running.step
    pace = Pace(epoch, training.epochs, steps, first)
    every = 1 if trainer.device.type == "cpu" else _STEPS_UNREAD
    trainer.batches.start(epoch, first)
    trainer.model.train()
    for step, inputs in enumerate(trainer.feed, start=first):
        _seed_step(trainer.seed, epoch, step, trainer.device)
        values = trainer.step(inputs, (epoch + step / steps) / training.epochs)
        trainer.running.add(trainer.step.names, values)
        is_saved = checkpoint is not None and (step + 1) % outputs.checkpoint_steps == 0
        if is_saved or (step + 1) % every == 0 or step + 1 == steps:
            _read(trainer, epoch, steps)
        if outputs.on_step is not None:
            outputs.on_step(pace.after(step, trainer.running.loss))
        if checkpoint is not None and is_saved:
            trainer.save(checkpoint)


def _read(trainer: Trainer, epoch: int, steps: int) -> None:
    """Read the values of the last steps. Raises `NonFiniteLossError` that names the images of a bad one."""
    bad = trainer.running.read()
    if bad is not None:
        step, problem = bad
        where = f"epoch {epoch + 1} of {trainer.training.epochs}, step {step + 1} of {steps}"
        numbers = trainer.batches.batches(epoch)[step]
        files = ", ".join(str(trainer.dataset.file(number)) for number in numbers)
        raise NonFiniteLossError(f"{problem}; in {where}, of the images {files}")


def _finish_epoch(trainer: Trainer, outputs: Outputs, folder: TrainingFolder) -> Evaluation | None:
    """Measure the epoch if it is due, add it to the history and the logs, and save the weights."""
    training, epoch = trainer.training, len(trainer.history) + 1
    is_due = epoch % training.evaluate_every == 0 or epoch == training.epochs
    evaluation = trainer.measure() if is_due else None
    means = trainer.running.means()
    entry = Epoch(
        epoch=epoch,
        epochs=training.epochs,
        lr=trainer.lr,
        losses={name: mean for name, mean in means.items() if "loss" in name},
        samples={name: mean for name, mean in means.items() if "loss" not in name},
        scores=None if evaluation is None else evaluation.numbers(),
        seconds=trainer.seconds,
    )
    trainer.history.append(entry)
    trainer.running = RunningMeans()

    def save(path: Path) -> None:
        metrics = {name: value for name, value in (entry.scores or {}).items() if value is not None}
        save_detector(path, trainer.final_model, trainer.data.classes, metrics, outputs.data)

    folder.write([epoch.row for epoch in trainer.history], is_improved(trainer.scores), save)
    return evaluation


def _seed_step(seed: int, epoch: int, step: int, device: torch.device) -> None:
    """Seed the global generators, from which the heads draw their samples, alike in all processes."""
    entropy = [seed, epoch, step, 0]  # version 0.1 had the number of the process there
    number = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
