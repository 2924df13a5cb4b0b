"""Candidates: what a search measures, an architecture with its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field

from nars.documents import Document, kind_of, read_text
from nars.errors import SpecError
from nars.foreign.limits import MOST_CLASSES
from nars.spec.architecture import Architecture
from nars.spec.recipe import Recipe

__all__ = ["Candidate", "NumClasses", "Trainable", "read"]

NumClasses = Annotated[int, Field(ge=1, le=MOST_CLASSES)]
"""How many classes data have."""


class Trainable(Document):
    """Something to build, and the recipe to train it by: a search measures it, and a task has its kind."""

    if TYPE_CHECKING:  # the fields of every kind, each of its own types
        architecture: Any
        """A document with a name."""
        recipe: Any
        """A document with a number of epochs."""
        data: str | None
        num_classes: int | None

    @property
    def title(self) -> str:
        """The name of its architecture."""
        return str(self.architecture.name)

    @property
    def epochs(self) -> int:
        """How long it is trained."""
        return int(self.recipe.epochs)

    def for_epochs(self, epochs: int) -> Self:
        """The same, trained for another time."""
        return self.replace(recipe=self.recipe.replace(epochs=epochs))

    def on(self, data: str | None, num_classes: int | None = None) -> Self:
        """The same, with the data that it was searched for and their number of classes."""
        return self.replace(data=data, num_classes=num_classes)


class Candidate(Trainable):
    """A network and how it is trained: what a search measures."""

    kind: ClassVar[str] = "candidate"

    architecture: Architecture
    recipe: Recipe = Recipe()
    data: str | None = None
    """The data it was searched for or trained on, as ``--data`` names it; None if that is not recorded."""
    num_classes: NumClasses | None = None
    """Classes of these data, by which its costs are counted; None if that is not recorded."""


_ELSEWHERE = {
    "detector_candidate": ("detector", "nars detect train"),
    "space": ("search space", "nars search --space"),
    "detector_space": ("search space of detectors", "nars search --task detection --space"),
}
"""Kinds of files that are none of these here, with their names and the commands that take them."""


def read(path: str | Path) -> Architecture | Recipe | Candidate:
    """Read a YAML file of any of these kinds. Raises `SpecError`."""
    kinds: dict[str, type[Architecture] | type[Recipe] | type[Candidate]]
    kinds = {"architecture": Architecture, "recipe": Recipe, "candidate": Candidate}
    text = read_text(path)
    kind = kind_of(text, str(path))
    if not isinstance(kind, str):
        what = "is missing" if kind is None else "is no name"
        raise SpecError(f"{path}: kind {what}; valid: {', '.join(kinds)}")
    if kind in _ELSEWHERE:
        name, command = _ELSEWHERE[kind]
        expected = "an architecture, a recipe or a candidate, such as RUN/best.yaml"
        raise SpecError(f"{path} is a {name}: `{command} {path}` takes it; expected here: {expected}")
    if kind not in kinds:
        raise SpecError(f"{path}: kind is {kind[:80]!r}; valid: {', '.join(kinds)}")
    return kinds[kind].from_yaml(text, str(path))
