"""EfficientNet-Lite0 pruned to a limit by other people's tools, before its final training.

``pip install torch-pruning nvidia-modelopt torchprofile``; neither is needed by the other rows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.photo_table.networks import stock
from experiments.photo_table.rows import Row
from nars.data import ImageData
from nars.device import seeded
from nars.networks.blocks import SameConv2d
from nars.networks.build import build
from nars.parents.parent import Parent
from nars.parents.sources import parent
from nars.parents.start import as_seen_by, start
from nars.training.evaluation import evaluate

__all__ = ["macs_of", "made"]

_RESOLUTION = 96
"""Side in pixels of the network that is pruned."""

_CPU = torch.device("cpu")


def made(row: Row, data: ImageData) -> tuple[nn.Module, int, int]:
    """The network of a row pruned to its limit, its MACs and its resolution."""
    lite = parent("efficientnet_lite0")
    assert isinstance(lite, Parent)
    seen = as_seen_by(lite, data)
    with seeded(0, _CPU):
        model = build(stock(_RESOLUTION), len(data.classes), row.recipe)
        start(model, stock(_RESOLUTION), lite, seen, _CPU)
        model = _pruned(model, row.limit) if row.tool == "torch_pruning" else _fastnas(model, row.limit, seen)
    return model, macs_of(model), _RESOLUTION


def macs_of(model: nn.Module) -> int:
    """Multiply-accumulates of a network for one image."""
    was_training = model.training
    model.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, _RESOLUTION, _RESOLUTION))
    model.train(was_training)
    return int(counter.get_total_flops()) // 2


def _pruned(model: nn.Module, limit: float) -> nn.Module:
    """Torch-Pruning with the norms of groups, in small steps until the limit is met.

    Groups of one shape compete with each other (isomorphic pruning, ECCV 2024), as its authors recommend.
    """
    tp: Any = import_module("torch_pruning")
    model.eval()
    steps = 400
    pruner = tp.pruner.BasePruner(
        model,
        torch.zeros(1, 3, _RESOLUTION, _RESOLUTION),
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.95,
        iterative_steps=steps,
        global_pruning=True,
        isomorphic=True,
        round_to=4,
        ignored_layers=[model.get_submodule("head.classifier")],
    )
    for _ in range(steps):
        if macs_of(model) <= limit:
            return model
        pruner.step()
    raise AssertionError(f"{macs_of(model)} MACs after all steps")


def _fastnas(model: nn.Module, limit: float, data: ImageData) -> nn.Module:
    """FastNAS of NVIDIA ModelOpt, which scores sub-networks by their accuracy on val without training."""
    mtp: Any = import_module("modelopt.torch.prune")

    def loader() -> Any:
        return data.train.batches(_RESOLUTION, _CPU, torch.arange(1024).split(64))

    def score(network: nn.Module) -> float:
        return evaluate(network, data, "val", resolution=_RESOLUTION, device=_CPU).accuracy

    more = macs_of(_swapped(model, _plain)) / macs_of(model)  # the zeros of larger kernels count there
    found: nn.Module
    found, _ = mtp.prune(
        model=_swapped(model, _plain),
        mode="fastnas",
        constraints={"flops": 2 * limit * more},  # a multiply-accumulate is two there
        dummy_input=torch.zeros(1, 3, _RESOLUTION, _RESOLUTION),
        config={
            "data_loader": list(loader()),
            "score_func": score,
            "collect_func": lambda batch: (batch[0].float() / 128 - 127 / 128,),
            "max_iter_data_loader": 16,
        },
    )
    return _swapped(found, _same)


def _swapped(model: nn.Module, swap: Callable[[nn.Conv2d], nn.Conv2d | None]) -> nn.Module:
    """A copy of a network with other convolutions, those that `swap` returns."""
    model = copy.deepcopy(model)
    for owner in list(model.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, nn.Conv2d) and (other := swap(child)) is not None:
                setattr(owner, name, other)
    return model


def _plain(conv: nn.Conv2d) -> nn.Conv2d | None:
    """A convolution of PyTorch's own that does the same, since the tool traces no other.

    TensorFlow's padding at stride 2 is one more at the bottom and right of a map with an even side. So is
    that of a kernel with one more row above and column on the left, which are zero.
    """
    if type(conv) is nn.Conv2d:
        return None
    side = conv.kernel_size[0]
    shift = int(conv.padding == "same" and conv.stride == (2, 2))
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        side + shift,
        conv.stride[0],
        side // 2,
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    with torch.no_grad():
        plain.weight.zero_()[:, :, shift:, shift:] = conv.weight
    if conv.bias is not None:
        plain.bias = conv.bias
    return plain


def _same(conv: nn.Conv2d) -> nn.Conv2d | None:
    """The convolution that `_plain` made plain, if it was given another row and column."""
    side = conv.kernel_size[0]
    if side % 2:
        return None
    same = SameConv2d(
        conv.in_channels,
        conv.out_channels,
        side - 1,
        conv.stride[0],
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    same.weight = nn.Parameter(conv.weight.detach()[:, :, 1:, 1:].clone())
    if conv.bias is not None:
        same.bias = conv.bias
    return same
