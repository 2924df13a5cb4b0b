"""Recipes: the hyperparameters of the training of a classifier."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from nars.documents import Document
from nars.foreign.limits import MOST_EPOCHS, MOST_SETTING

__all__ = ["Recipe", "frozen_stages"]

_Fraction = Annotated[float, Field(ge=0, lt=1)]
_Share = Annotated[float, Field(ge=0, le=1)]


class Recipe(Document):
    """Training hyperparameters of one network."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the command line prints them
    kind: ClassVar[str] = "recipe"
    later_fields: ClassVar[tuple[str, ...]] = (
        "fit",
        "crop_area",
        "policy",
        "magnitude",
        "erasing",
        "cutmix",
        "layer_decay",
        "frozen",
        "class_weights",
        "balanced_sampling",
        "distill",
        "distill_temperature",
    )

    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    """Optimizer of all weights."""
    lr: Annotated[float, Field(gt=0, le=MOST_SETTING)] = 0.1
    """Peak learning rate, after warm-up and before cosine decay to zero."""
    weight_decay: Annotated[float, Field(ge=0, le=MOST_SETTING)] = 1e-4
    """Weight decay of all parameters but norms and biases."""
    momentum: _Fraction = 0.9
    """Momentum of SGD and RMSProp, the first beta of AdamW."""
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 30
    """Passes over the training images."""
    batch_size: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 64
    """Images a step."""
    warmup_epochs: Annotated[float, Field(ge=0, le=MOST_EPOCHS)] = 1.0
    """Epochs in which the learning rate rises to its peak, at most half of all."""
    ema: bool = False
    """Average parameters and buffers over the steps, and measure and keep the average."""
    ema_decay: _Fraction = 0.99
    """Decay per step of the exponential moving average of parameters and buffers."""
    mixup: Annotated[float, Field(ge=0, le=MOST_SETTING)] = 0.0
    """Alpha of the Beta distribution of mixup; 0 is off."""
    label_smoothing: _Fraction = 0.0
    """Share of the target that all classes have in equal parts."""
    dropout: _Fraction = 0.0
    """Drop rate of the features before the classifier."""
    stochastic_depth: _Fraction = 0.0
    """Drop rate of the last residual block; it grows linearly over the blocks up to that."""
    clip_norm: Annotated[float, Field(ge=0, le=MOST_SETTING)] = 5.0
    """Largest gradient norm; 0 is no clipping."""
    augmentation: Literal["none", "shift", "flip_shift", "flip"] = "shift"
    """Random shifts by up to an eighth of the side; flips suit images whose mirror image means the same."""
    fit: Literal["crop", "squash", "letterbox"] = "crop"
    """How a picture becomes a square, in training and in use: ``crop`` takes the centre, ``squash`` changes
    the aspect and ``letterbox`` adds grey bars."""
    crop_area: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Least area of a random crop of the stored image, as a share; 1 is off. The area is uniform up to 1, the
    aspect within 3/4 to 4/3. Source: Inception (CVPR 2015), section 6."""
    policy: Literal["none", "trivial_augment", "rand_augment"] = "none"
    """Random changes of colour and geometry: one of any strength per image (TrivialAugment, ICCV 2021) or two
    of one `magnitude` (RandAugment, NeurIPS 2020)."""
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    """Strength of the changes of ``rand_augment``, in 30ths of torchvision's strongest."""
    erasing: _Share = 0.0
    """Probability that a random box of an image, 2 to 33 % of its area, is set to the mean colour. Source:
    Random Erasing (AAAI 2020)."""
    cutmix: Annotated[float, Field(ge=0, le=MOST_SETTING)] = 0.0
    """Alpha of the Beta distribution of the pasted area; 0 is off. With `mixup`, each batch takes one of the
    two. Source: CutMix (ICCV 2019)."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor from the learning rate of a stage to that of the stage before it; the classifier has `lr`.
    Source: ULMFiT (ACL 2018), section 3.2."""
    frozen: _Share = 0.0
    """Share of the stages, rounded down, that keep the weights and statistics they start with: the first."""
    class_weights: Literal["none", "balanced"] = "none"
    """Whether a class counts in the loss by the inverse of how often it is drawn, 1 on average."""
    balanced_sampling: bool = False
    """Draw every class equally often, with replacement, instead of every image once an epoch."""
    distill: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the loss that a teacher's answers have; the labels have the rest. 0 needs no teacher."""
    distill_temperature: Annotated[float, Field(gt=0, le=MOST_SETTING)] = 2.0
    """Divides the logits of teacher and student before they are compared."""

    def frozen_stages(self, stages: int) -> int:
        """How many of a network's first stages are frozen."""
        return frozen_stages(self.frozen, stages)


def frozen_stages(share: float, stages: int) -> int:
    """How many of `stages` are frozen at a share of them: whole stages, rounded down."""
    return math.floor(share * stages + 1e-9)
