"""The rows of the table: ways to a network within a limit, with what each of them needs.

| row | way |
|---|---|
| ``searched`` | the winner of `nars search`, with the reference fine-tuned first |
| ``stock`` | EfficientNet-Lite0 fine-tuned at the resolution that the limit allows |
| ``taught`` | the same, with the reference as its teacher |
| ``cut_A``, ``cut_B`` | Lite0 with every block's hidden channels cut to one share, at two resolutions |
| ``by_hand`` | a network cut by hand, from the reference and taught by it |
| ``random`` | random search in the same space, from the same reference, in the same time |
| ``scratch`` | the same search from random weights |
| ``recipe`` | Lite0 held fixed, its recipe alone searched |
| ``pruned`` | Lite0 pruned by Torch-Pruning, then fine-tuned |
| ``fastnas`` | Lite0 pruned by FastNAS of NVIDIA ModelOpt, then fine-tuned |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from experiments.photo_table.networks import cut_to, shortened, stock
from nars.spec import Architecture, Recipe

__all__ = ["EPOCHS", "FINE_TUNING", "RESPLITS", "ROWS", "Row", "name_of"]

RESPLITS = (0, 1, 2)
"""Seeds of the resplits."""

EPOCHS = 15
"""Epochs of every final training."""

FINE_TUNING = Recipe(
    lr=0.05,
    epochs=EPOCHS,
    batch_size=32,
    ema=True,
    ema_decay=0.99,
    label_smoothing=0.1,
    augmentation="flip",
    crop_area=0.5,
)
"""The recipe of networks whose recipe is not searched: that of the reference, for longer."""

TAUGHT = FINE_TUNING.replace(distill=0.7)
"""The same with a teacher."""


Start = Literal["imagenet", "reference", "random"]
"""The weights that a training starts from."""


@dataclass(frozen=True)
class Row:
    """One way to a network."""

    way: str
    limit: float
    """Most MACs."""
    network: Architecture | None = None
    """The network; None if it has to be searched or pruned first."""
    recipe: Recipe = FINE_TUNING
    start: Start = "imagenet"
    """The weights that the final training inherits from."""
    search: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the search."""
    tool: Literal["", "torch_pruning", "fastnas"] = ""
    """The library that prunes the network first."""
    resplits: tuple[int, ...] = RESPLITS


def name_of(row: Row) -> str:
    """The name of a row, as in its files."""
    return f"{row.way}-{row.limit / 1e6:g}M"


WORKERS = 2
"""Workers of a search for the time of its row; one worker has twice the time."""


def _searched(way: str, limit: float, minutes: int, resplits: tuple[int, ...] = RESPLITS, **more: Any) -> Row:
    start: Start = "random" if more.get("init") == "none" else "reference"
    return Row(way, limit, start=start, search={"budget": minutes, **more}, resplits=resplits)


ROWS = (
    _searched("searched", 32e6, 30),
    Row("stock", 32e6, stock(64)),
    Row("taught", 32e6, stock(64), TAUGHT),
    Row("cut_80", 32e6, cut_to(stock(80), 32e6)),
    Row("cut_96", 32e6, cut_to(stock(96), 32e6)),
    Row("by_hand", 32e6, cut_to(stock(80), 30e6), TAUGHT, "reference"),
    _searched("searched", 8e6, 20),
    Row("stock", 8e6, stock(32)),
    Row("cut_48", 8e6, cut_to(stock(48), 8e6)),
    Row("cut_56", 8e6, cut_to(stock(56), 8e6)),
    Row("by_hand", 8e6, cut_to(shortened(stock(44), (4, 5, 6)), 8e6), TAUGHT, "reference"),
    _searched("random", 32e6, 30, sampler="random"),
    _searched("random", 8e6, 20, sampler="random"),
    _searched("scratch", 32e6, 30, (0,), init="none"),
    _searched("recipe", 32e6, 30, (0,), fix="arch"),
    Row("pruned", 32e6, tool="torch_pruning", resplits=(0,)),
    Row("fastnas", 32e6, tool="fastnas", resplits=(0,)),
)
"""All rows, in the order in which they are made."""
