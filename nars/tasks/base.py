"""The contract between a search and its task: train a candidate, return its score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch

from nars.data import ImageSize
from nars.errors import SpecError, TrialError, UsageError
from nars.foreign.parts import Part
from nars.networks.latency import Latency, measure
from nars.parents.alignment import streams
from nars.parents.parent import Origin, Parent
from nars.parents.sources import parent, parent_in
from nars.parents.space import space_of, wholes_of
from nars.space import Space
from nars.space.base import SearchSpace
from nars.space.cost import count
from nars.space.genotypes import Genotype
from nars.spec import Candidate, Trainable
from nars.tasks.reference import EPOCHS, FineTuning, Reference, reference_of
from nars.training.loop import Progress
from nars.training.metrics import Metric

__all__ = ["Outcome", "Task", "build_errors"]

_DISTILL = 0.7
"""How much of the loss comes from the reference, for the candidates that are made from it in simple ways."""


@dataclass(frozen=True)
class Outcome:
    """The result of one training of a candidate."""

    score: float
    """Metric of the task on val after the last epoch trained; larger is better."""
    epochs: int
    """Epochs trained; fewer than the recipe's if `on_epoch` ended the training."""
    curve: tuple[tuple[float, float], ...]
    """Pairs of (share of the recipe's epochs done, score then), one for each measurement."""
    seconds: float
    """Duration of the training."""
    write: Callable[[Path], None] | None = field(default=None, repr=False, compare=False)
    """Writes the trained weights to a ``.pt`` file, with all that is needed to use them."""
    test: Callable[[], Mapping[str, float]] | None = field(default=None, repr=False, compare=False)
    """Scores the trained network on test, by name; None without a test split."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Other metrics on val after the last epoch trained, by name."""
    interval: tuple[float, float] | None = None
    """Ends of the 95 % interval of the score over the choice of the val images; None if it is not known."""
    confusion: Sequence[Sequence[int]] | None = None
    """Numbers of val images then [K, K]: a row for each class, a column for each answer."""


class Task(ABC):
    """Trains and scores candidates. No training leaves state behind for the next."""

    name: str
    metric: str
    """Name of the score, such as ``accuracy``; of the class, the score unless another is asked for."""
    device: torch.device
    """Device that trainings run on."""
    inherits: ClassVar[bool] = False
    """Whether candidates can inherit from a parent."""
    foretells_cuts: ClassVar[bool] = False
    """Whether simple cuts of a parent rank after a training as `foretell` ranks them before."""
    parent: Origin | None = None
    """The parent that candidates inherit from."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of classes, which are the outputs that a candidate's network needs."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Text that changes with the data and the task, so no search continues on other data."""

    @property
    def classes(self) -> Sequence[str] | None:
        """Names of the classes, if outcomes have a confusion matrix."""
        return None

    @property
    def earlier_fingerprints(self) -> tuple[str, ...]:
        """Fingerprints that older versions gave these data, by which searches that they began know them."""
        return ()

    def is_of(self, fingerprint: str) -> bool:
        """Whether these are the data that a search recorded by `fingerprint`, in this version or before."""
        return fingerprint in (self.fingerprint, *self.earlier_fingerprints)

    @property
    def images(self) -> ImageSize | None:
        """The size of the training images; None if it has no say in the choice of a space."""
        return None

    @property
    def examples(self) -> int | None:
        """The number of training images; None if it has no say in the length of trainings."""
        return None

    @property
    def teaches(self) -> bool:
        """Whether the parent can teach candidates, because it solves the same task."""
        return False

    def suited(self, space: SearchSpace, *, mask: bool = False) -> SearchSpace:
        """The space as this task searches it; `mask` asks for candidates that segment.

        Raises `UsageError` for a space that the task or its data do not suit.
        """
        return space

    def left_out(self) -> Sequence[str]:
        """One line about each image that could not be read and was left out, as far as that is known."""
        return ()

    def remarks(self, space: SearchSpace) -> Sequence[str]:
        """Sentences that a user should read before these data are searched in this space."""
        return ()

    def latency(self, candidate: Trainable) -> Latency:
        """Time a candidate on the task's device. Raises `TrialError` if it cannot be built."""
        assert isinstance(candidate, Candidate), "a task with candidates of its own times them"
        with build_errors():
            return measure(candidate.architecture, self.num_classes, self.device)

    def parent_called(self, name: str) -> Origin | None:
        """The parent that ``--init`` names; None for ``none``.

        Raises `UsageError`, `WeightsError`, `RunError`.
        """
        return parent(name)

    def parent_in(self, file: Path) -> Origin:
        """The parent in a file that an `Outcome` of this task wrote. Raises `WeightsError`."""
        return parent_in(file)

    def inheriting(self, parent: Origin) -> Task:
        """The same task with candidates that inherit from a parent. Raises `UsageError` if it cannot."""
        raise UsageError(f"candidates of the task {self.name} cannot inherit from {parent.source} yet")

    def check_inherits(self, candidate: Trainable) -> None:
        """Raise `WeightsError` if a candidate has other stages than the parent."""
        assert isinstance(candidate, Candidate), "a task with candidates of its own compares them"
        streams(candidate.architecture, self._classifier.architecture)

    def space_of_parent(self, max_macs: float | None = None) -> SearchSpace:
        """The space of the candidates that inherit all of their weights from the parent.

        Those that see more than the training images show, or that are far above `max_macs`, are left out.
        """
        side = None if self.images is None else self.images.side
        return space_of(self._classifier.architecture, side, max_macs)

    def reference(self, space: SearchSpace, epochs: int | None) -> FineTuning:
        """How the parent is fine-tuned before a search in `space`; `epochs` None means the usual number."""
        side = max(space.sides) if self.images is None else self.images.side
        return reference_of(space, side, EPOCHS if epochs is None else epochs)

    def reference_candidate(self, settings: FineTuning) -> Trainable:
        """The parent as a candidate, with the recipe and the resolution that it is fine-tuned with."""
        assert isinstance(settings, Reference), "a task with candidates of its own makes them"
        side = settings.resolution
        architecture = self._classifier.architecture.replace(name="reference", resolution=side)
        return Candidate(architecture=architecture, recipe=settings.recipe)

    def wholes(self, space: SearchSpace, settings: FineTuning) -> Sequence[Genotype]:
        """Genotypes of the parent at every size of images, of which the first candidates are cut.

        The sequence is empty if the parent is not in the space.
        """
        if not (isinstance(space, Space) and isinstance(settings, Reference)):
            return ()
        recipe = settings.recipe.replace(distill=_DISTILL)
        return wholes_of(space, self._classifier.architecture, recipe)

    @property
    def _classifier(self) -> Parent:
        assert isinstance(self.parent, Parent), "a task with candidates of its own has parents of its own"
        return self.parent

    def costs(self, candidate: Trainable) -> Mapping[str, int]:
        """Count ``macs`` and ``params`` of a candidate with the classes of the data."""
        assert isinstance(candidate, Candidate), "a task with candidates of its own counts them"
        cost = count(candidate.architecture, num_classes=self.num_classes)
        return {"macs": cost.macs, "params": cost.params}

    def scored_by(self, metric: Metric) -> Task:
        """The same task with another score. Raises `UsageError` if the task or its data have none such."""
        raise UsageError(f"the task {self.name} is scored by {self.metric}, got {metric.name!r}")

    def rehearse(self, candidate: Trainable) -> Callable[[], object] | None:
        """A function that makes one training step of `candidate`, the same each time, and waits for nothing.

        None if the task has no such thing. Raises `TrialError` if this candidate cannot be trained.
        """
        return None

    def foretell(self, candidate: Trainable) -> float | None:
        """Measure what is known of a candidate before it is trained: larger is better.

        None if the task knows nothing. Raises `TrialError` if this candidate cannot be measured.
        """
        return None

    def parts(self) -> tuple[Part, ...]:
        """How each part of the data was read, if that is known."""
        return ()

    @abstractmethod
    def describe(self) -> str:
        """Describe the data in one line: its name, and how many images and classes it has."""

    @abstractmethod
    def run(
        self,
        candidate: Trainable,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        """Train `candidate` on train and score it on val, without ever looking at test.

        `on_epoch` is called after each measurement and ends the training by returning False. A `checkpoint`
        is rewritten before each of these calls; if the file exists, the training continues from it, to the
        same outcome as without the interruption. Raises `TrialError` if this candidate cannot be trained,
        and `RunError` for a checkpoint of another training.
        """


@contextmanager
def build_errors() -> Iterator[None]:
    """Turn the `SpecError` of a network that cannot be built into `TrialError`.

    A space is checked value by value, and some of its values may not go together.
    """
    try:
        yield
    except SpecError as error:
        raise TrialError(f"cannot be built: {error}") from None
