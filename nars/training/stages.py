"""Treats the stages of a network differently: some are frozen, the others learn at rates of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from nars.errors import UsageError
from nars.spec import Recipe

__all__ = ["freezing", "groups_by_stage", "keep_frozen"]


@contextmanager
def freezing(model: nn.Module, recipe: Recipe) -> Iterator[Sequence[nn.Module]]:
    """While the body trains `model`, its first stages need no gradient; yields those stages.

    No gradient is computed for or through them. Raises `UsageError` for a network without stages.
    """
    stages = _stages(model) if recipe.frozen else []
    frozen = stages[: recipe.frozen_stages(len(stages))]
    parameters = [each for stage in frozen for each in stage.parameters() if each.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield frozen
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def groups_by_stage(model: nn.Module, recipe: Recipe) -> list[tuple[float, list[nn.Parameter]]]:
    """The parameters to train, with their learning rates as shares of the recipe's.

    A stage has the rate of the one after it times `layer_decay`; the classifier has a share of 1. Raises
    `UsageError` for a network without stages.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.layer_decay == 1:
        return [(1.0, learning)]
    stages = _stages(model)
    depths = {
        id(parameter): len(stages) - number
        for number, stage in enumerate(stages)
        for parameter in stage.parameters()
    }
    groups: dict[int, list[nn.Parameter]] = {}
    for parameter in learning:
        groups.setdefault(depths.get(id(parameter), 0), []).append(parameter)
    return [(recipe.layer_decay**depth, group) for depth, group in groups.items()]


def keep_frozen(frozen: Sequence[nn.Module]) -> None:
    """Let the norms of frozen stages use the statistics they have, after the network was set to train."""
    for stage in frozen:
        stage.eval()


def _stages(model: nn.Module) -> list[nn.Module]:
    stages = getattr(model, "stages", None)
    if not isinstance(stages, nn.Sequential | nn.ModuleList):
        kind = type(model).__name__
        raise UsageError(f"frozen and layer_decay of a recipe need a network with stages, {kind} has none")
    return list(stages)
