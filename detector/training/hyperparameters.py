"""Every hyperparameter of a training, except the settings of the detector itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from detector.model.settings import Settings
from detector.training.ranges import Factor, Jitter, Probability
from nars.documents import Document
from nars.foreign.limits import MOST_EPOCHS, MOST_SETTING
from nars.spec import Recipe

if TYPE_CHECKING:
    from detector.training.augment import Augmentation

__all__ = ["LR", "Training"]

Positive = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
Setting = Annotated[float, Field(ge=0, le=MOST_SETTING)]
Fraction = Annotated[float, Field(ge=0, lt=1)]

LR = {"sgd": 0.08, "rmsprop": 1e-3, "adamw": 1e-3}
"""Default peak rates for 16 images a step, for training with batch norms that learn."""

_ADAPTIVE = ("rmsprop", "adamw")
"""Optimizers whose rate is scaled by the square root of the batch size."""

_SHARED = (
    "optimizer",
    "weight_decay",
    "momentum",
    "epochs",
    "warmup_epochs",
    "ema",
    "ema_decay",
    "clip_norm",
)
"""Fields that a recipe has with the same meaning; its rate and batch size are meant differently."""

_UNUSED = tuple(
    name for name in Recipe.model_fields if name not in (*_SHARED, "lr", "batch_size", "augmentation")
)
"""Fields of a recipe that have no meaning for a detector."""


class Training(Document):
    """The hyperparameters of one training; with equal data and seed, equal ones give equal weights."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the command line prints them
    kind: ClassVar[str] = "detector-training"

    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    """Optimizer of all weights."""
    lr: Factor | None = None
    """Peak rate after warm-up; by default 0.08 for SGD from random weights, 0.001 for other optimizers."""
    lr_images: Positive = 16
    """Images a step that `lr` is meant for. For another batch size the rate of SGD is scaled in
    proportion, that of the others by the square root (Malladi et al., NeurIPS 2022)."""
    weight_decay: Setting = 1e-4
    """Not applied to norms and biases."""
    momentum: Fraction = 0.9
    """Momentum of SGD and RMSProp; first beta of AdamW."""
    epochs: Positive = 24
    """Passes over the training images."""
    batch_size: Positive = 4
    """Images a step, which several processes share."""
    warmup_epochs: Annotated[float, Field(ge=0, le=MOST_EPOCHS)] = 1.0
    """Epochs in which the rate rises to its peak."""
    ema: bool = True
    """Average parameters and buffers over the steps, and measure and keep the average."""
    ema_decay: Fraction = 0.998
    """Decay of the average per step."""
    clip_norm: Setting = 10.0
    """Largest gradient norm; 0 means no clipping."""
    amp: bool = True
    """Compute in half precision on CUDA; a CPU always computes in float32."""

    flip: Probability = 0.5
    """Share of images that are mirrored; set it to 0 if left and right matter, as in digits and text."""
    jitter: Jitter = (1.0, 1.0)
    """Lowest and highest random factor on the size of an image."""
    photometric: Probability = 0.0
    """Share of images whose colours are changed."""
    mosaic: Probability = 0.0
    """Share of samples that combine four images."""

    patience: Annotated[int, Field(ge=0, le=MOST_EPOCHS)] = 0
    """Measurements without a better AP after which training stops; 0 means never."""
    evaluate_every: Positive = 1
    """Epochs between measurements; the last one is always measured."""

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Training:
        """Apply a classifier's recipe to a detector.

        Its rate counts for 16 images a step for any batch size of the recipe, because a classifier
        has one thing to learn from an image, and a detector dozens. `unused` names the fields that
        do not apply.
        """
        shared = {name: getattr(recipe, name) for name in _SHARED}
        return cls(**shared, lr=recipe.lr, flip=0.5 if "flip" in recipe.augmentation else 0.0)

    @staticmethod
    def unused(recipe: Recipe) -> tuple[str, ...]:
        """Return the fields of a recipe that are set but do not apply to a detector."""
        fields = Recipe.model_fields
        return tuple(name for name in _UNUSED if getattr(recipe, name) != fields[name].default)

    def recipe(self, images: int) -> Recipe:
        """Return the recipe for steps of this many images, as `nars.training.updates` takes it."""
        ratio = images / self.lr_images
        scale = ratio**0.5 if self.optimizer in _ADAPTIVE else ratio
        lr = LR[self.optimizer] if self.lr is None else self.lr
        shared = {name: getattr(self, name) for name in _SHARED}
        return Recipe(**shared, lr=scale * lr, batch_size=images)

    def augmentation(self, settings: Settings) -> Augmentation:
        """Return how the loader resizes and augments images for a detector of these settings."""
        from detector.training.augment import Augmentation  # which imports torch

        return Augmentation(
            shortest=settings.shortest,
            longest=settings.longest,
            flip=self.flip,
            jitter=self.jitter,
            photometric=self.photometric,
            mosaic=self.mosaic,
        )
