"""Prints what ``nars profile`` says of a detector."""

from __future__ import annotations

import click

from detector.model.parts import Parts
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from nars.cli.options.classes import COCO, classes_to_count
from nars.cli.options.values import to_json
from nars.documents import is_yaml, kind_of, read_text
from nars.errors import UsageError
from nars.foreign.parts import counted

__all__ = ["is_detector", "profile"]


def is_detector(arch: str) -> bool:
    """Whether ARCH is the file of a searched detector, or the name of a published one."""
    if is_yaml(arch):
        kind: object = kind_of(read_text(arch), arch)
        return kind == DetectorCandidate.kind
    return _published(arch) is not None


def profile(arch: str, classes: int | None, init: str, *, as_json: bool) -> None:
    """Print the MACs of each part and the parameters of a detector, at its shorter x longer side.

    Without `classes` they are those of its search, else those of COCO.

    With a parent, print the share of the parameters that it would inherit, without predictors of classes.
    Raises `SpecError`, `UsageError` and `WeightsError`.
    """
    from detector.cli.display import show_cost
    from detector.model.cost import count_parts

    parts, settings, recorded = _published(arch) or _searched(arch)
    classes, why = classes_to_count(classes, recorded, COCO)
    share = _inherited(parts, settings, classes, init)
    cost = count_parts(parts, settings, classes)
    if as_json:
        numbers = vars(cost) | {"macs": cost.macs, "classes": classes}
        click.echo(to_json(numbers | ({} if share is None else {"inherited": share})))
        return
    show_cost(cost, None)
    if share is not None:
        click.echo(f"inherits {share:.1%} of its parameters from {init}")
    click.echo(f"counted for {counted(classes, 'class')}{why}")


def _published(name: str) -> tuple[Parts, Settings, None] | None:
    """Parts and settings of a published detector, None for other names; it has no classes of a search."""
    from detector.model import catalogue

    try:
        return catalogue.published(name), catalogue.published_settings(name), None
    except UsageError:
        return None


def _searched(file: str) -> tuple[Parts, Settings, int | None]:
    found = DetectorCandidate.load(file)
    return found.architecture, found.settings, found.num_classes


def _inherited(parts: Parts, settings: Settings, classes: int, init: str) -> float | None:
    """The share of its parameters that a detector would inherit from the parent `init`, if there is one."""
    from detector.model.detector import Detector
    from detector.weights.inherited import inherit
    from detector.weights.parents import parent_called

    parent = parent_called(init)
    if parent is None:
        return None
    return inherit(Detector(parts, classes, settings), parent, ()).share
