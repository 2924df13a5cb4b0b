"""How a detector is trained: every hyperparameter beside the detector's own settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from detector.model.settings import Settings
from nars.spec import Document, Recipe

if TYPE_CHECKING:
    from detector.training.augment import Augmentation

__all__ = ["LR", "Training"]

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]

LR = {"sgd": 0.08, "rmsprop": 1e-3, "adamw": 1e-3}
"""Peak rates for 16 images a step, for training with batch norms that learn."""

_ADAPTIVE = ("rmsprop", "adamw")


class Training(Document):
    """The hyperparameters of one training; equal ones on equal data and seed give equal weights."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the command line prints them
    kind: ClassVar[str] = "detector-training"

    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0)] | None = None
    """Peak rate after warm-up; without one 0.08 for SGD and 0.001 for the others."""
    lr_images: Positive = 16
    """Images a step that `lr` is for. With other batches SGD's is scaled in proportion, the
    others' by the square root. Source of the latter: Malladi et al., NeurIPS 2022."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Not applied to norms and biases."""
    momentum: Fraction = 0.9
    epochs: Positive = 24
    batch_size: Positive = 4
    """Images a step, of one process."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    ema: bool = True
    """Average parameters and buffers over the steps, and measure and keep the average."""
    ema_decay: Fraction = 0.998
    clip_norm: Annotated[float, Field(ge=0)] = 10.0
    """Largest gradient norm; 0 is no clipping."""
    amp: bool = True
    """Half precision on CUDA; a CPU always computes in float32."""

    flip: Probability = 0.5
    """Share of images that are mirrored; 0 where left and right matter, as for digits and text."""
    jitter: tuple[float, float] = (1.0, 1.0)
    """Lowest and highest factor on the size of an image."""
    photometric: Probability = 0.0
    """Share of images whose colours are changed."""
    mosaic: Probability = 0.0
    """Share of samples that are four images in one."""

    patience: Annotated[int, Field(ge=0)] = 0
    """Measurements without a better AP after which training stops; 0 is never."""
    evaluate_every: Positive = 1
    """Epochs between measurements; the last one is always measured."""

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Training:
        """What a classifier's recipe says of training a detector.

        Its rate counts for 16 images a step whatever its batches are: a classifier has one thing to
        learn from an image, a detector dozens. `unused` names what has no meaning here.
        """
        return cls(
            optimizer=recipe.optimizer,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
            epochs=recipe.epochs,
            warmup_epochs=recipe.warmup_epochs,
            ema=recipe.ema,
            ema_decay=recipe.ema_decay,
            clip_norm=recipe.clip_norm,
            flip=0.5 if recipe.augmentation == "flip_shift" else 0.0,
        )

    @staticmethod
    def unused(recipe: Recipe) -> tuple[str, ...]:
        """Fields of a recipe that are set and that `of_recipe` leaves behind."""
        names = ("mixup", "label_smoothing", "dropout", "stochastic_depth")
        return tuple(name for name in names if getattr(recipe, name))

    def recipe(self, images: int) -> Recipe:
        """The recipe for steps of so many images, as `nars.training.optim` takes it."""
        ratio = images / self.lr_images
        scale = ratio**0.5 if self.optimizer in _ADAPTIVE else ratio
        return Recipe(
            optimizer=self.optimizer,
            lr=scale * (LR[self.optimizer] if self.lr is None else self.lr),
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            epochs=self.epochs,
            batch_size=images,
            warmup_epochs=self.warmup_epochs,
            ema=self.ema,
            ema_decay=self.ema_decay,
            clip_norm=self.clip_norm,
        )

    def augmentation(self, settings: Settings) -> Augmentation:
        """What the loader does to an image on the way to a detector of these settings."""
        from detector.training.augment import Augmentation  # which imports torch

        return Augmentation(
            shortest=settings.shortest,
            longest=settings.longest,
            flip=self.flip,
            jitter=self.jitter,
            photometric=self.photometric,
            mosaic=self.mosaic,
        )
