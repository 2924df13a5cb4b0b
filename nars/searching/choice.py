"""Chooses the space of a search: the named one, that of an earlier run, or one that suits the data."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nars.errors import UsageError, WeightsError
from nars.runs.config import SearchConfig
from nars.runs.request import AUTO, SearchRequest
from nars.runs.run import Run, default_folder, open_run
from nars.searching import catalogue
from nars.space import Space
from nars.space.base import SearchSpace
from nars.space.values import first_values
from nars.tasks import SPACES, spaces_of

if TYPE_CHECKING:
    from nars.tasks.base import Task  # which imports torch

__all__ = ["as_begun", "automatic", "check_inherits", "known_space", "smallest", "suited"]


def smallest(task: str) -> SearchSpace:
    """The smallest space of classifiers, or the one that a task with spaces of its own takes by default."""
    own = spaces_of(task)
    default: SearchSpace = catalogue.space(_rules().SMALLEST) if own is None else own.space(own.DEFAULT)
    return default


def known_space(request: SearchRequest, continued: Run | None) -> tuple[SearchSpace, str] | None:
    """The space and the reason for it; None if the choice depends on the data.

    It is the one that is named, or that of the search that this one continues or learns from.
    """
    own = spaces_of(request.task)
    if request.space != AUTO:
        return catalogue.space_for(request.task, request.space), "it is named"
    if continued is not None:
        return continued.config.space, f"{continued.folder} has it"
    if own is None or request.init != "none":
        return None
    return own.space(own.DEFAULT), f"the space of the task {request.task}"


def automatic(
    request: SearchRequest, micro: SearchConfig, task: Task, folder: Path | None
) -> tuple[SearchConfig, str]:
    """The search in the space that suits the data, and the reason; `micro` is the search in the smallest."""
    if request.init != "none":
        return _in_space(request, micro, task, task.space_of_parent(request.max_macs)), (
            f"all of its networks inherit from {request.init}"
        )
    if task.images is None:
        return micro, f"the space of the task {task.name}"
    name, reason = _rules().choose(task.images.side, task.images.channels, request.limits)
    if name == micro.space.name:
        return micro, reason
    config = as_begun(_in_space(request, micro, task, catalogue.space(name)), task, folder)
    old, new = default_folder(micro), default_folder(config)
    if folder is None and (old / "config.yaml").exists() and not (new / "config.yaml").exists():
        return micro, f"{old} has it"
    return config, reason


def suited(request: SearchRequest, space: SearchSpace, task: Task) -> SearchSpace:
    """The space as its task searches it.

    It has one input channel if the images are grey and the space is made for grey images, too. Raises
    `UsageError` if the space takes other channels than the data have; three for grey images are fine.
    """
    space = task.suited(space, mask=request.mask)
    if task.images is None or not isinstance(space, Space):
        return space
    channels = task.images.channels
    for name, facts in _rules().FACTS.items() if channels == 1 else ():
        made_for_it = 1 in facts.channels and name == space.name
        if made_for_it and space.stages == catalogue.space(name).stages:  # no --fix arch=FILE
            space = space.replace(in_channels=1)
    if space.in_channels not in (3, channels):
        takes = f"space {space.name} takes images of in_channels: {space.in_channels}"
        raise UsageError(f"{takes}, those of {request.data} have {channels}")
    return space


def as_begun(config: SearchConfig, task: Task, folder: Path | None) -> SearchConfig:
    """The search with the fingerprint of its data that its run records, if an older version computed that.

    The run is in `folder` or, without one, in the default folder of the search.
    """
    for fingerprint in task.earlier_fingerprints:
        earlier = config.replace(data_fingerprint=fingerprint)
        if folder is None and (default_folder(config) / "config.yaml").exists():
            return config
        where = folder or default_folder(earlier)
        if (where / "config.yaml").exists() and open_run(where).config.data_fingerprint == fingerprint:
            return earlier
    return config


def check_inherits(config: SearchConfig, task: Task) -> None:
    """Raise `UsageError` if candidates of the space have other stages than the parent."""
    space = config.space
    try:
        task.check_inherits(space.decode(first_values(space.distributions), space.name))
    except WeightsError as error:
        remedy = f"`nars spaces --from {config.init}` prints a space of networks that can"
        if config.task in SPACES:
            remedy = "leave out --space for one that can"
        raise UsageError(f"space {space.name} cannot inherit from {config.init}: {error}; {remedy}") from None


def _in_space(request: SearchRequest, config: SearchConfig, task: Task, space: SearchSpace) -> SearchConfig:
    """The same search in another space."""
    space = suited(request, catalogue.fixed(space, request.fix), task)
    return config.replace(space=space.for_classes(task.num_classes), data_fingerprint=task.fingerprint)


def _rules() -> Any:
    """The module `search_spaces.choice`, imported late because it is built on nars."""
    return import_module("search_spaces.choice")
