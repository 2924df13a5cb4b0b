"""The exponential moving average of a network over the steps of its training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nars.internals import blend
from nars.spec import Recipe

__all__ = ["Averaging", "averaged"]

_Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The exponential moving average of parameters and buffers; None if the recipe has none.

    The decay rises as (1 + n) / (10 + n) over the updates n until it is the recipe's, so that
    the initial weights do not linger in a short training. Source: ``num_updates`` of
    TensorFlow's ExponentialMovingAverage.
    """
    if not recipe.ema:
        return None
    ema = AveragedModel(model, use_buffers=True)

    @torch.no_grad()
    def update(average: _Tensors, current: _Tensors, _: Tensor | int) -> None:
        if not average[0].is_floating_point():  # a counter, such as the batches a norm has seen
            for old, new in zip(average, current, strict=True):
                old.copy_(new)
            return
        updates = int(ema.n_averaged)  # a copy on the CPU; the argument is on the device
        get_ema_multi_avg_fn(_decay(recipe, updates))(average, current, updates)

    ema.multi_avg_fn = update
    return ema


def _decay(recipe: Recipe, updates: int) -> float:
    """The decay of the average after a number of updates; see `averaged`."""
    return min(recipe.ema_decay, (1 + updates) / (10 + updates))


class Averaging:
    """Updates of an average; on a GPU they depend on tensors alone, so that a step can be recorded."""

    def __init__(self, ema: AveragedModel, model: nn.Module, recipe: Recipe, device: torch.device) -> None:
        self._ema, self._model, self._recipe = ema, model, recipe
        self._share = torch.ones((), device=device)
        pairs = list(zip(_tensors(ema.module), _tensors(model), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    def before(self) -> None:
        """Prepare the next update."""
        if self._share.is_cuda:
            updates = int(self._ema.n_averaged)
            self._share.fill_(1 - _decay(self._recipe, updates) if updates else 1.0)  # the first is a copy
            self._ema.n_averaged += 1

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network."""
        if not self._share.is_cuda:
            self._ema.update_parameters(self._model)
            return
        averages, currents = zip(*self._floats, strict=True)
        blend(list(averages), list(currents), self._share)
        for average, current in self._counters:  # such as the batches that a norm has seen
            average.copy_(current)


def _tensors(model: nn.Module) -> list[Tensor]:
    """The parameters and buffers of a network, without their gradients."""
    return [each.detach() for each in (*model.parameters(), *model.buffers())]
