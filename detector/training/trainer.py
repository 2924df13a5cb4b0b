"""The objects of a training between two steps: model, data, optimizer, averages and history."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import cast

import torch

from detector.data.fingerprint import earlier_fingerprint, fingerprint
from detector.data.kept import kept
from detector.data.masks import check_masks
from detector.data.records import CocoData
from detector.evaluation.loop import Evaluation, evaluate
from detector.model.detector import Detector
from detector.training.batches import GroupedBatches
from detector.training.dataset import DetectionDataset
from detector.training.hyperparameters import Training
from detector.training.loaded import Loaded, default_workers
from detector.training.progress import Epoch, RunningMeans
from detector.training.resident import Resident, fits
from detector.training.step import Step
from nars import parallel
from nars.device import half_precision
from nars.tensors import fingerprint as digest_of
from nars.training import checkpoint, updates
from nars.training.patience import is_out_of_patience

__all__ = ["Trainer"]

_MEASURED, _MEASURED_ON_CPU = 32, 8
"""Images that are measured at once on a GPU and on a CPU."""


class Trainer:
    """Everything that the training loop works on, built from the training's settings.

    `save` writes a checkpoint, and `restore` returns to the state at `save`.
    """

    def __init__(
        self,
        model: Detector,
        data: CocoData,
        training: Training,
        device: torch.device,
        seed: int,
        workers: int | None = None,
    ) -> None:
        masks = model.settings.mask
        if masks:
            check_masks(data)
        # Running statistics may have been measured: in their last bits they differ between machines.
        self._beginning = digest_of(dict(model.named_parameters()))
        self._earlier_beginning = digest_of(model.state_dict())
        moved = model.to(device).to(memory_format=torch.channels_last)
        self.model = cast(Detector, parallel.synchronized(moved))
        self.data, self.training, self.device, self.seed = data, training, device, seed
        self._data = fingerprint(data)
        self.workers = workers
        self.history: list[Epoch] = []
        self.running = RunningMeans()
        self.start = time.perf_counter()

        augmentation = training.augmentation(model.settings)
        self._images = data if workers else kept(data)  # every process that loads would keep its own
        loading = default_workers(device) if workers is None else workers
        fed = data if loading else self._images
        self.dataset = DetectionDataset.training(fed, augmentation, masks, seed)
        rank, ranks = parallel.rank(), parallel.world_size()
        ratios = self.dataset.aspect_ratios
        self.batches = GroupedBatches(ratios, training.batch_size, seed, rank, ranks)
        self.feed: Resident | Loaded
        if fits(self.dataset, device):
            self.feed = Resident(self.dataset, self.batches, self.model, device)
        else:
            self.feed = Loaded(self.dataset, self.batches, self.model, device, loading)

        recipe = training.recipe(training.batch_size)
        self.recipe = updates.scheduled(recipe, self.batches.steps_per_epoch)
        self.optimizer = updates.optimizer(self.model, self.recipe)
        self.ema = updates.averaged(self.model, self.recipe)
        self.final_model = self.model if self.ema is None else cast(Detector, self.ema.module)
        self.wrapped = parallel.wrapped(self.model, device)
        self.half = half_precision(device) if training.amp else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half is torch.float16)

    @property
    def seconds(self) -> float:
        """Seconds since the start, including those before an interruption."""
        return time.perf_counter() - self.start

    @property
    def scores(self) -> list[float | None]:
        """The AP of every epoch so far; None for an epoch that was not measured."""
        return [entry.ap for entry in self.history]

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or `patience` measurements in a row brought no better AP."""
        is_last = len(self.history) >= self.training.epochs
        return is_last or is_out_of_patience(self.scores, self.training.patience)

    @cached_property
    def step(self) -> Step:
        """The training step, which begins in the states that were restored before."""
        return Step(
            self.wrapped,
            self.recipe,
            self.optimizer,
            self.scaler,
            assemble=self.feed.assemble,
            ema=self.ema,
            half=self.half,
        )

    @property
    def pixels(self) -> int:
        """Pixels of all images that the training passes, at most."""
        sides = self.model.settings
        return self.training.epochs * len(self.dataset) * max(sides.shortest) * sides.longest

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def measure(self) -> Evaluation:
        """Evaluate the model, or its average if there is one, on val."""
        return evaluate(
            self.final_model,
            self._images,
            device=self.device,
            batch_size=_MEASURED if self.device.type == "cuda" else _MEASURED_ON_CPU,
            workers=self.workers,
            amp=self.training.amp,
        )

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        curve = [asdict(entry) for entry in self.history]
        checkpoint.save(path, self._identity, self._parts, torch.default_generator, self.device, curve)

    def restore(self, path: Path) -> None:
        """Return to the state in a checkpoint, if the file exists.

        Raises `RunError` if the checkpoint is of another training, or other processes train something else.
        """
        parallel.check_same(self._identity | {"half precision": str(self.half)})
        generator = torch.default_generator
        earlier = {
            "data": (earlier_fingerprint(self.data),),
            "parts": (self.model.parts.model_dump(mode="json"),),
            "start": (None, self._earlier_beginning),
        }
        self.history = checkpoint.restore(
            path, self._identity, self._parts, generator, self.device, lambda entry: Epoch(**entry), earlier
        )
        if self.history:
            self.start -= self.history[-1].seconds

    @property
    def _parts(self) -> dict[str, checkpoint.Stateful]:
        """The states in a checkpoint, by their names in the file."""
        parts: dict[str, checkpoint.Stateful] = {
            "model": self.model,
            "optimizer": self.optimizer,
            "scaler": self.scaler,
            "place": self.running,  # the name in checkpoints since version 0.1
        }
        return parts if self.ema is None else parts | {"ema": self.ema}

    @property
    def _identity(self) -> dict[str, object]:
        """The values that decide the result; a checkpoint with others is refused."""
        return {
            "training": self.training.to_yaml(),
            "settings": self.model.settings.to_yaml(),
            "parts": self.model.parts.model_dump(mode="json", exclude={"name"}),  # that of a trial
            "data": self._data,
            "seed": self.seed,
            "start": self._beginning,
            "processes": 1,  # by which version 0.1, where each had batches of its own, knew several
        }
