"""The normalization layers of networks, each by its name.

All keep the channel count; eps and the momentum of running statistics are those of the architecture.
`naive_sync_bn` and `naive_sync_bn_weighted` average batch statistics over the processes of a training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast, get_args

from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from nars.errors import UsageError, closest
from nars.parallel.norms import NaiveSyncBatchNorm2d
from nars.spec import Norm

__all__ = ["NaiveSyncBatchNorm2d", "Norm", "NormLayer", "norm", "norm_layer"]

NormLayer = Callable[[int], nn.Module]
"""Makes the norm of a map of so many channels."""

_EPS = 1e-5
"""Added to every variance, unless an architecture says otherwise."""

_MOMENTUM = 0.1
"""Weight of a new batch in the running statistics, unless an architecture says otherwise."""

_MOST_GROUPS = 32
"""Most groups of a group norm. Source: "Group Normalization" (Wu, He 2018)."""

_LEAST_PER_GROUP = 4
"""Fewest channels in a group."""


def norm_layer(kind: Norm, eps: float = _EPS, momentum: float = _MOMENTUM) -> NormLayer:
    """Return what makes the normalization layers `kind` of a network; see `norm`."""
    return partial(norm, kind, eps=eps, momentum=momentum)


def norm(kind: Norm, channels: int, eps: float = _EPS, momentum: float = _MOMENTUM) -> nn.Module:
    """The normalization layer `kind` for maps [N, channels, H, W].

    - ``bn``: statistics of this worker's batch.
    - ``gn``: group statistics of each image alone; for tiny batches.
    - ``sync_bn``: statistics of all workers' pixels; torch trains it on CUDA only.
    - ``naive_sync_bn``: every worker's statistics count the same.
    - ``naive_sync_bn_weighted``: they count by the worker's batch size.
    - ``frozen_bn``: constants, as loaded from a checkpoint of a batch norm.

    Raises `UsageError` for another name.
    """
    match kind:
        case "bn":
            return nn.BatchNorm2d(channels, eps, momentum)
        case "gn":
            return nn.GroupNorm(group_count(channels), channels, eps)
        case "sync_bn":
            return nn.SyncBatchNorm(channels, eps, momentum)
        case "naive_sync_bn":
            return NaiveSyncBatchNorm2d(channels, eps=eps, momentum=momentum)
        case "naive_sync_bn_weighted":
            return NaiveSyncBatchNorm2d(channels, weighted=True, eps=eps, momentum=momentum)
        case "frozen_bn":
            return cast(nn.Module, FrozenBatchNorm2d(channels, eps))
        case _:
            raise UsageError(f"no norm is called {kind!r}: {closest(str(kind), get_args(Norm))}")


def group_count(channels: int) -> int:
    """The most groups that divide `channels`, at most 32 and of at least 4 channels each.

    Groups of fewer channels would erase the content of a map that is pooled to one pixel.
    """
    most = max(1, min(_MOST_GROUPS, channels // _LEAST_PER_GROUP))
    return next(groups for groups in range(most, 0, -1) if channels % groups == 0)
