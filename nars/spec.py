"""Candidates, architectures and recipes: plain, frozen, validated data, read and written as YAML.

A `Candidate` is an `Architecture` and a `Recipe`. An architecture is a list of stages, a
stage a list of `Block` rows, a row one or more equal blocks. Nothing here imports torch;
`nars.networks.build.build` turns an architecture into a network.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from nars.documents import Document, Frozen, kind_of, read_text
from nars.errors import SpecError
from nars.foreign.limits import MOST_BLOCKS, MOST_CHANNELS, MOST_EPOCHS, MOST_SIDE
from nars.foreign.networks import check_network

__all__ = [
    "Architecture",
    "Block",
    "Candidate",
    "Norm",
    "Recipe",
    "Trainable",
    "frozen_stages",
    "read",
    "unroll",
]

_MOST_SETTING = 1e6
"""The largest learning rate, decay, norm, temperature or parameter of a distribution of a recipe."""

_MOST_EXPANSION = 64
"""Largest factor from the channels of a block to its hidden ones."""

_MOST_PADDING = 64
"""Pixels that a convolution may be padded by."""

Norm = Literal["bn", "gn", "sync_bn", "naive_sync_bn", "naive_sync_bn_weighted", "frozen_bn"]
"""Normalization layers by name; `nars.networks.norms.norm` documents each."""

_Channels = Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
_Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
_Fraction = Annotated[float, Field(ge=0, lt=1)]
_Share = Annotated[float, Field(ge=0, le=1)]


class Block(Frozen):
    """One row of an architecture: `repeats` blocks of one kind, one after the other.

    Only the first block of a row has the row's stride and changes the channel count. An
    mbconv adds its input to its output if its stride is 1 and the channels agree.

    - ``conv``: kxk convolution (with a bias, unless `bias` is false), norm, activation.
    - ``mbconv``: 1x1 expansion (absent if it would not widen), depthwise kxk, squeeze-and-excitation,
      1x1 projection.
    - ``mbpool``: 1x1 expansion, global average pool, 1x1, activation; ends a classifier.

    Source: FBNetV3 (CVPR 2021), section 4, and the published definitions.
    """

    later_fields: ClassVar[tuple[str, ...]] = ("bias",)

    op: Literal["conv", "mbconv", "mbpool"]
    channels: _Channels
    kernel: Literal[1, 3, 5, 7] | None = None
    stride: Literal[1, 2, -2] = 1
    """Stride of the first block; -2 upsamples by 2 (nearest) before the depthwise convolution."""
    repeats: Annotated[int, Field(ge=1, le=MOST_BLOCKS)] = 1
    expansion: Annotated[int | float, Field(gt=0, le=_MOST_EXPANSION)] | None = None
    se: Literal["none", "hsigmoid", "sigmoid"] = "none"
    """The gate of squeeze-and-excitation."""
    activation: Literal["hswish", "relu", "relu6", "silu"] = "hswish"
    padding: Annotated[int, Field(ge=0, le=_MOST_PADDING)] | Literal["same"] | None = None
    """Padding of the first block; None is kernel // 2. ``same`` is TensorFlow's: with stride 2 it pads an
    even map by one less at the top and left than at the bottom and right."""
    squeeze: Literal["input", "hidden"] = "input"
    """Whether to squeeze to about a quarter of the block's input channels, or of its hidden ones."""
    depthwise: Literal["norm_act", "bare"] = "norm_act"
    """Whether norm and activation follow the depthwise convolution."""
    bias: bool = True
    """Whether the convolution of a conv has a bias; the convolutions of the others have none."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        needs = {"conv": ("kernel",), "mbconv": ("kernel", "expansion"), "mbpool": ("expansion",)}[self.op]
        for name in ("kernel", "expansion"):
            if (getattr(self, name) is None) == (name in needs):
                raise ValueError(f"{self.op} {'needs' if name in needs else 'has no'} {name}")
        if self.op != "mbconv" and (self.se != "none" or self.stride == -2):
            given = f"se {self.se}, stride {self.stride}"
            raise ValueError(f"{self.op} has neither se nor stride -2, got {given}")
        if self.op == "mbpool" and (self.stride != 1 or self.repeats != 1):
            raise ValueError("mbpool stands alone, with stride 1 and repeats 1")
        if self.op != "conv" and not self.bias:
            raise ValueError(f"only a conv has a bias to leave out, {self.op} has none")
        return self

    def single(self, repeat: int) -> Self:
        """Block number `repeat` of the row, from 0: the later ones have stride 1 and padding None."""
        changes = {"repeats": 1} if repeat == 0 else {"repeats": 1, "stride": 1, "padding": None}
        return self.model_copy(update=changes)


class Architecture(Document):
    """A network without its weights: stages of block rows, input channels and resolution.

    `resolution` is the side, in pixels, of the square input that the network was chosen for; it
    accepts other sizes.
    """

    kind: ClassVar[str] = "architecture"
    later_fields: ClassVar[tuple[str, ...]] = ("norm_eps", "norm_momentum")

    name: str = "unnamed"
    resolution: _Side
    in_channels: _Channels = 3
    norm_eps: Annotated[float, Field(gt=0, le=1)] = 1e-5
    """Added to every variance by the norms."""
    norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Weight of a new batch in the running statistics of batch norms."""
    stages: Annotated[tuple[Annotated[tuple[Block, ...], Field(min_length=1)], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rules(self) -> Self:
        rows = [row for stage in self.stages for row in stage]
        check_network(rows, self.in_channels, self.resolution)
        if any(row.op == "mbpool" for row in rows[:-1]):
            raise ValueError("mbpool may only be the last row: it pools to 1x1")
        return self

    def blocks(self) -> Iterator[tuple[int, int, Block]]:
        """Every single block in order, as (stage, input channels, row with repeats 1)."""
        yield from unroll(self.stages, self.in_channels)

    def spatial_stages(self) -> list[list[Block]]:
        """The stages without the head of a classifier: an mbpool, or a last stage of one 1x1 convolution."""
        kept = [[row for row in stage if row.op != "mbpool"] for stage in self.stages]
        kept = [stage for stage in kept if stage]
        widens = [(row.op, row.kernel, row.repeats, row.stride) for row in kept[-1]] == [("conv", 1, 1, 1)]
        return kept[:-1] if widens and len(kept) > 1 else kept


def unroll(stages: Iterable[Iterable[Block]], in_channels: int) -> Iterator[tuple[int, int, Block]]:
    """Every single block of `stages` in order, as (stage, input channels, row with repeats 1)."""
    for index, stage in enumerate(stages):
        for row in stage:
            for repeat in range(row.repeats):
                yield index, in_channels, row.single(repeat)
                in_channels = row.channels


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
    lr: Annotated[float, Field(gt=0, le=_MOST_SETTING)] = 0.1
    """Peak learning rate, after warm-up and before cosine decay to zero."""
    weight_decay: Annotated[float, Field(ge=0, le=_MOST_SETTING)] = 1e-4
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
    mixup: Annotated[float, Field(ge=0, le=_MOST_SETTING)] = 0.0
    """Alpha of the Beta distribution of mixup; 0 is off."""
    label_smoothing: _Fraction = 0.0
    """Share of the target that all classes have in equal parts."""
    dropout: _Fraction = 0.0
    """Drop rate of the features before the classifier."""
    stochastic_depth: _Fraction = 0.0
    """Drop rate of the last residual block; it grows linearly over the blocks up to that."""
    clip_norm: Annotated[float, Field(ge=0, le=_MOST_SETTING)] = 5.0
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
    cutmix: Annotated[float, Field(ge=0, le=_MOST_SETTING)] = 0.0
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
    distill_temperature: Annotated[float, Field(gt=0, le=_MOST_SETTING)] = 2.0
    """Divides the logits of teacher and student before they are compared."""

    def frozen_stages(self, stages: int) -> int:
        """How many of a network's first stages are frozen."""
        return frozen_stages(self.frozen, stages)


def frozen_stages(share: float, stages: int) -> int:
    """How many of `stages` are frozen at a share of them: whole stages, rounded down."""
    return math.floor(share * stages + 1e-9)


class Trainable(Document):
    """Something to build, and the recipe to train it by: a search measures it, and a task has its kind."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The name of its architecture."""

    @property
    @abstractmethod
    def epochs(self) -> int:
        """How long it is trained."""

    @abstractmethod
    def for_epochs(self, epochs: int) -> Self:
        """The same, trained for another time."""

    @abstractmethod
    def on(self, data: str | None) -> Self:
        """The same, with the data that it was searched for."""


class Candidate(Trainable):
    """A network and how it is trained: what a search measures."""

    kind: ClassVar[str] = "candidate"

    architecture: Architecture
    recipe: Recipe = Recipe()
    data: str | None = None
    """The data it was searched for or trained on, as ``--data`` names it; None if that is not recorded."""

    @property
    def title(self) -> str:
        return self.architecture.name

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    def for_epochs(self, epochs: int) -> Self:
        return self.replace(recipe=self.recipe.replace(epochs=epochs))

    def on(self, data: str | None) -> Self:
        return self.replace(data=data)


_ELSEWHERE = {"detector_candidate": ("detector", "nars detect train")}
"""Kinds of files that are none of these here, with their names and the commands that take them."""


def read(path: str | Path) -> Architecture | Recipe | Candidate:
    """Read a YAML file of any of these kinds. Raises `SpecError`."""
    kinds: dict[str, type[Architecture] | type[Recipe] | type[Candidate]]
    kinds = {"architecture": Architecture, "recipe": Recipe, "candidate": Candidate}
    text = read_text(path)
    kind = kind_of(text, str(path))
    if not isinstance(kind, str):
        raise SpecError(f"{path}: kind is no name; valid: {', '.join(kinds)}")
    if kind in _ELSEWHERE:
        raise SpecError(f"{path} is a {_ELSEWHERE[kind][0]}: `{_ELSEWHERE[kind][1]} {path}` takes it")
    if kind not in kinds:
        raise SpecError(f"{path}: kind is {kind[:80]!r}; valid: {', '.join(kinds)}")
    return kinds[kind].from_yaml(text, str(path))
