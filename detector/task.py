"""Detection as a search task: a candidate's score is the AP after a short training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import torch

from detector.data.check import usable
from detector.data.fingerprint import earlier_fingerprint, fingerprint
from detector.data.records import CocoData
from detector.training.hyperparameters import Training
from detector.training.loop import Outputs, train
from detector.training.plan import plan
from detector.training.progress import Epoch
from detector.weights.saved import save_detector
from nars.device import memory_errors
from nars.errors import SpecError, TrialError
from nars.foreign.parts import Part
from nars.spec import Candidate
from nars.tasks.base import Outcome, Task
from nars.training.loop import Progress

__all__ = ["Detection"]


class Detection(Task):
    """Finds which objects are in an image, and where.

    `detector.training.hyperparameters.Training.of_recipe` applies a candidate's recipe, and
    `detector.training.plan` its architecture and resolution; weights start fresh. There is no test
    split.
    """

    name = "detection"
    metric = "ap"

    def __init__(self, data: CocoData, device: torch.device, source: str = "data") -> None:
        self.data = data
        self.device = device
        self.source = source
        self._fingerprint = f"{self.name}:{fingerprint(data)}"

    @classmethod
    def open(cls, source: str | Path, device: torch.device, *, drop_bad: bool = False) -> Self:
        """Load and check the data set at `source`. Raises `DataError`."""
        return cls(usable(source, drop_bad=drop_bad), device, str(source))

    def parts(self) -> tuple[Part, ...]:
        return self.data.parts

    @property
    def num_classes(self) -> int:
        return len(self.data.classes)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def earlier_fingerprints(self) -> tuple[str, ...]:
        return (f"{self.name}:{earlier_fingerprint(self.data)}",)

    def describe(self) -> str:
        sizes = ", ".join(f"{len(subset.images)} {subset.name}" for subset in self.data.subsets)
        return f"detection of {self.source}: {self.num_classes} classes, {sizes} images"

    def run(
        self,
        candidate: Candidate,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        try:
            with memory_errors("building the detector"):
                planned = plan(candidate.architecture, self.data, self.device)
                model = planned.build(self.num_classes, seed)
        except SpecError as error:
            raise TrialError(f"{candidate.architecture.name} makes no detector: {error}") from None
        training = Training.of_recipe(candidate.recipe)

        def watch(epoch: Epoch) -> bool:
            return on_epoch is None or on_epoch(_progress(epoch))

        outputs = Outputs(on_epoch=watch, checkpoint=checkpoint)
        trained = train(model, self.data, training, device=self.device, seed=seed, outputs=outputs)
        curve = tuple((epoch.fraction, epoch.score) for epoch in map(_progress, trained.history))

        def write(path: Path) -> None:
            numbers = trained.evaluation.numbers()
            metrics = {name: value for name, value in numbers.items() if value is not None}
            save_detector(path, trained.model, self.data.classes, metrics, self.source)

        return Outcome(curve[-1][1], len(curve), curve, trained.history[-1].seconds, write=write)


def _progress(epoch: Epoch) -> Progress:
    """Return an epoch in the form of the search, in which the score is the AP."""
    assert epoch.ap is not None, "every epoch is measured"
    return Progress(epoch.epoch, epoch.epochs, epoch.ap, epoch.losses["loss"], epoch.seconds)
