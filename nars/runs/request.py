"""A search as its user asks for it: one typed value.

`nars search` makes its options from these fields, and prints their docstrings as help. Names and numbers
are checked here, before torch is imported and before data are read; this module imports neither torch nor
optuna. `nars.searching.configure` turns a request into a `SearchConfig`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from nars.documents import Frozen
from nars.errors import UsageError, closest
from nars.foreign.limits import MOST_EPOCHS, MOST_SEED
from nars.foreign.quantities import AMOUNT, DURATION
from nars.tasks import SPACES, TASKS
from nars.training.metrics import METRICS, check_name, is_function

__all__ = [
    "AUTO",
    "STATISTICS",
    "PredictorName",
    "PrunerName",
    "SamplerName",
    "SearchRequest",
    "check_first_objective",
    "metric_of",
]

STATISTICS = ("macs", "params", "latency")
"""Objectives and limits that are minimized and need no training; latency is in seconds."""

AUTO = "auto"
"""The name that leaves the choice of the space, or of the parent, to `configure`."""

SamplerName = Literal["nars", "random", "qmc", "tpe", "nsga2", "nsga3", "gp", "cmaes"]
"""Samplers that `nars.searching.samplers.make_sampler` makes."""

PredictorName = Literal["gaussian", "ensemble"]
"""Predictors of `nars.sampling.sampler.NarsSampler`."""

PrunerName = Literal["none", "median", "percentile", "hyperband", "halving"]
"""Pruners that `nars.searching.pruners.make_pruner` makes."""

_METRICS = {"classification": "accuracy", "detection": "ap"}
"""The metric of each built-in task unless another is named, stated here because importing a task imports
torch."""


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


_Name = Annotated[str, BeforeValidator(_text)]
"""A name, or the path of a file or folder as it was written."""

_Limit = Annotated[float, Field(gt=0)]


class SearchRequest(Frozen):
    """A search as its user asks for it, with the defaults of `nars search`.

    Raises `UsageError` for an unknown name, with the closest valid one, and for a budget that cannot be
    read; `SpecError` for any other value that breaks a rule.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)  # the command line prints them

    @classmethod
    def called(cls) -> str:
        return "search"

    data: _Name = "digits"
    """digits, clothing, a folder of class folders, an .npz file, a .csv or .parquet table of paths and
    labels, a torchvision set as cifar10:PATH, or hf:NAME. A search for detectors takes digit-scenes, or a
    folder in COCO's, Pascal VOC's or YOLO's format."""
    drop_bad: bool = False
    """Leave out images that cannot be read."""
    task: str = "classification"
    """Purpose that a candidate is trained for: classification or detection."""

    mask: bool = False
    """Search for detectors that segment, too (FBNetV3IS); the data need masks."""

    init: _Name = AUTO
    """Parent that candidates inherit weights from: efficientnet_lite0, _lite1 or _lite2, timm:NAME,
    torchvision:NAME, a .pt or .safetensors file, a run folder, none, or auto, which takes efficientnet_lite0
    for photos if it is installed."""
    reference_epochs: Annotated[int, Field(ge=0, le=MOST_EPOCHS)] | None = None
    """Epochs in which the parent is fine-tuned on the data first, by default 6 and more if photos are few, as
    those of candidates then are, too; with 0, candidates inherit from it as it is."""

    space: _Name = AUTO
    """auto, micro, tiny, mobile, fbnetv3, for detectors fbnetv3od, or a .yaml file of your own; auto takes
    the space that suits the images and the limits, and says which."""
    fix: tuple[str, ...] = ()
    """Hold recipe=FILE or arch=FILE and search the rest."""

    metric: str | None = None
    """Score to maximize: accuracy (the default), balanced_accuracy, macro_f1, auroc, or module:function for a
    function of your own of labels [N] and probabilities [N, K], larger is better."""

    max_macs: _Limit | None = None
    """Most multiply-accumulates per image, such as 60M."""
    max_params: _Limit | None = None
    """Most parameters, such as 2M."""
    max_latency: _Limit | None = None
    """Longest time per image on this machine, such as 5ms."""

    objectives: tuple[str, ...] = ()
    """The metric, which is the default, or a front such as accuracy,macs."""
    budget: Annotated[str, Field(coerce_numbers_to_str=True)] = "64"
    """Trials (64), a time (30m, 2h) or epochs (500ep)."""
    sampler: SamplerName = "nars"
    """Algorithm that proposes candidates: nars, or a sampler of Optuna."""
    predictor: PredictorName = "gaussian"
    """Model that guides the sampler nars: a Gaussian process, or networks pretrained on MACs and
    parameters."""
    warm_start: tuple[Path, ...] = ()
    """Learn from this run folder: the same space, other data or limits."""
    pruner: PrunerName = "none"
    """A pruner of Optuna that ends bad trainings, besides early stopping."""
    early_stopping: bool = True
    """End a training whose curve falls behind those of the first candidates."""
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0
    """Start of every random draw of the search."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; auto is CUDA if there is a GPU."""

    @field_validator("objectives", "fix", "warm_start", mode="before")
    @classmethod
    def _as_sequence(cls, value: Any) -> Any:
        """Take text as the command line does: names separated by commas, or a single path."""
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(","))
        return (value,) if isinstance(value, Path) else value

    @field_validator("max_macs", "max_params", "max_latency", mode="before")
    @classmethod
    def _as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Take text as the command line does: ``8M``, ``5ms``."""
        if not isinstance(value, str):
            return value
        try:
            return (DURATION if info.field_name == "max_latency" else AMOUNT).parse(value)
        except UsageError as error:
            raise UsageError(f"{info.field_name}: {error}") from None

    @field_validator("task", "sampler", "predictor", "pruner", mode="before")
    @classmethod
    def _is_known(cls, name: Any, info: ValidationInfo) -> Any:
        """Refuse an unknown name and suggest the closest valid one, which pydantic does not."""
        assert info.field_name is not None
        if info.field_name == "task":
            valid, what = tuple(TASKS), "unknown task"
        else:
            valid, what = get_args(cls.model_fields[info.field_name].annotation), f"no {info.field_name}"
        if name not in valid:
            raise UsageError(f"{what} {name!r}: {closest(str(name), valid)}")
        return name

    @model_validator(mode="after")
    def _rules(self) -> Self:
        from nars.runs.budget import Budget  # which imports optuna

        Budget.parse(self.budget)
        for name in self.objectives[1:]:
            if name not in STATISTICS:
                raise UsageError(f"no objective {name!r}: {closest(name, STATISTICS)}")
        if self.metric is not None and self.objectives and self.objectives[0] != self.metric:
            raise UsageError(f"--metric is {self.metric}, but the first objective is {self.objectives[0]}")
        if self.mask and self.task not in SPACES:
            raise UsageError(f"--mask is for detectors: give --task detection, not {self.task}")
        if self.score is not None and self.task in _METRICS:
            _check_metric(self.task, self.score, by_objective=self.metric is None)
        return self

    @property
    def score(self) -> str | None:
        """The metric that is asked for, alone or as the first objective; None for the task's own."""
        return self.metric if self.metric is not None else next(iter(self.objectives), None)

    @property
    def limits(self) -> dict[str, float]:
        """The limits asked for, by statistic; latency in seconds."""
        limits = {"macs": self.max_macs, "params": self.max_params, "latency": self.max_latency}
        return {name: limit for name, limit in limits.items() if limit is not None}


def metric_of(task: str) -> str | None:
    """The metric of a built-in task unless another is named; None of a user's task, which states its own."""
    return _METRICS.get(task)


def check_first_objective(task: str, metric: str, name: str) -> None:
    """Raise `UsageError` unless `name` is the metric of the task."""
    if name != metric:
        others = f"; or {', '.join(METRICS[1:])}, module:function" if task == "classification" else ""
        raise UsageError(f"the first objective of {task} is {metric}, got {name!r}{others}")


def _check_metric(task: str, name: str, *, by_objective: bool) -> None:
    """Raise `UsageError` unless a built-in task has the metric; the code of a function is not run."""
    own = _METRICS[task]
    if task == "classification" and (is_function(name) or name in METRICS or not by_objective):
        check_name(name)
    elif by_objective:
        check_first_objective(task, own, name)
    elif name != own:
        raise UsageError(f"the metric of {task} is {own}, got {name!r}")
