"""EfficientNet-Lite0 pruned to a limit by other people's tools, before its final training.

``pip install torch-pruning nvidia-modelopt``; neither is needed by the other rows.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.photo_table.networks import stock
from experiments.photo_table.rows import Row
from nars.data import ImageData
from nars.device import seeded
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
    return counter.get_total_flops() // 2


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

    found: nn.Module
    found, _ = mtp.prune(
        model=model,
        mode="fastnas",
        constraints={"flops": limit},
        dummy_input=torch.zeros(1, 3, _RESOLUTION, _RESOLUTION),
        config={
            "data_loader": list(loader()),
            "score_func": score,
            "collect_func": lambda batch: (batch[0].float() / 128 - 127 / 128,),
            "max_iter_data_loader": 16,
        },
    )
    return found
