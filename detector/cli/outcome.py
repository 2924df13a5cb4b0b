"""Measures what a training left in ``weights/best.pt``, and prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from nars.cli.options.values import to_json

if TYPE_CHECKING:
    import torch

    from detector.data.records import CocoData
    from detector.evaluation.loop import Evaluation
    from detector.training.hyperparameters import Training
    from detector.training.loop import TrainedDetector

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """A training and the scores of its best epoch, or of the last one if the best weights are gone."""

    trained: TrainedDetector
    weights: Path
    """The best weights, or the last ones."""
    evaluation: Evaluation
    epoch: int
    """The epoch that was measured."""
    interval: tuple[float, float] | None

    @classmethod
    def of(
        cls,
        trained: TrainedDetector,
        data: CocoData,
        training: Training,
        device: torch.device,
        folder: Path,
    ) -> Self:
        """Measure the best weights in the folder of a training on val, unless they are the last."""
        from detector.evaluation.interval import ap_interval
        from detector.evaluation.loop import evaluate
        from detector.weights.saved import load_detector
        from nars.training.folder import TrainingFolder

        weights, last = (TrainingFolder.weights(folder, name) for name in ("best", "last"))
        evaluation, epoch = trained.evaluation, trained.history[-1].epoch
        if not weights.exists():
            weights = last
        elif trained.best.epoch != epoch:
            model = load_detector(weights).detector().to(device)
            evaluation, epoch = evaluate(model, data, device=device, amp=training.amp), trained.best.epoch
        return cls(trained, weights, evaluation, epoch, ap_interval(data, evaluation))

    def show(self, remarks: Sequence[str]) -> None:
        """Print tables of the scores."""
        from detector.cli.display import show_scores

        best = self.trained.best
        click.echo(f"val after epoch {self.epoch} of {len(self.trained.history)}:")
        show_scores(self.evaluation, remarks, self.interval)
        here = f"written to {self.weights}"
        if self.epoch != best.epoch:
            here = f"its weights are gone, those of epoch {self.epoch} are in {self.weights}"
        click.echo(f"best epoch {best.epoch}: AP {best.ap:.4f}: {here}")

    def show_json(self, **further: Any) -> None:
        """Print the numbers as JSON, and `further` ones."""
        best = self.trained.best
        numbers = self.evaluation.numbers() | {
            "epoch": self.epoch,
            "best_ap": best.ap,
            "best_epoch": best.epoch,
            "epochs": len(self.trained.history),
            "seconds": self.trained.history[-1].seconds,
            "weights": str(self.weights),
            "ap_interval": self.interval,
            "per_class": dict(self.evaluation.main.per_class),
        }
        click.echo(to_json(numbers | further))
