"""Gives a candidate what fits of its parent's weights.

The most important channels are kept, one choice for every residual stream; kernels keep their centres; a
stream keeps its first blocks. What is larger than the parent keeps its fresh weights there. A candidate that
does not differ from its parent computes the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nars.parents.alignment import Site, streams
from nars.parents.importance import hidden_importance, squeeze_importance, stream_importance
from nars.parents.parent import Parent
from nars.space.widths import hidden_width, squeeze_width
from nars.spec import Architecture

__all__ = ["Inheritance", "inherit"]

_FRESH = -1
"""Marks, in a choice of channels, one that the parent does not have."""


@dataclass(frozen=True)
class Inheritance:
    """How much of a network came from its parent."""

    inherited: int
    """Parameters that were copied."""
    parameters: int
    """Parameters of the network."""
    classifier: bool
    """Whether the classes agreed, so the classifier was copied too."""

    @property
    def share(self) -> float:
        """The inherited share of all parameters, 0..1."""
        return self.inherited / self.parameters


@torch.no_grad()
def inherit(
    model: nn.Module, architecture: Architecture, parent: Parent, classes: tuple[str, ...] | None = None
) -> Inheritance:
    """Copy what fits of a parent into a classifier of `nars.build`, in place.

    `classes` are those that the network tells apart; if they are the parent's, the classifier is copied
    as far as its input channels are. Raises `WeightsError` if the stages of the two differ in kind.
    """
    state = model.state_dict()
    copied = {name: torch.zeros_like(tensor, dtype=torch.bool) for name, tensor in state.items()}
    for name, original, picks in _picks(architecture, parent, classes):
        if name in state and original in parent.state:
            _copy(state[name], copied[name], parent.state[original], picks)
    model.load_state_dict(state)
    learned = {name for name, _ in model.named_parameters()}
    return Inheritance(
        inherited=sum(int(copied[name].sum()) for name in learned),
        parameters=sum(state[name].numel() for name in learned),
        classifier=classes is not None and classes == parent.classes,
    )


_Picks = tuple[Tensor, ...]
"""For each of the first dimensions of a tensor, the parent's index for each of the candidate's."""


def _picks(
    architecture: Architecture, parent: Parent, classes: tuple[str, ...] | None
) -> Iterator[tuple[str, str, _Picks]]:
    """The name of a candidate's tensor, that of its parent's, and the choice of channels between them."""
    incoming = torch.arange(architecture.in_channels)
    if architecture.in_channels != parent.architecture.in_channels:
        incoming.fill_(_FRESH)
    for stream in streams(architecture, parent.architecture):
        outgoing = _most_important(stream_importance(parent, stream.parent), stream.child[0].row.channels)
        for child, original in stream.pairs():
            if original is not None:
                for suffix, picks in _block_picks(parent, child, original, incoming, outgoing):
                    yield f"{child.name}.{suffix}", f"{original.name}.{suffix}", picks
            incoming = outgoing
    if classes is not None and classes == parent.classes:
        every = torch.arange(len(classes))
        yield "head.classifier.weight", "head.classifier.weight", (every, incoming)
        yield "head.classifier.bias", "head.classifier.bias", (every,)


def _block_picks(
    parent: Parent, child: Site, original: Site, incoming: Tensor, outgoing: Tensor
) -> Iterator[tuple[str, _Picks]]:
    """The choices for the tensors of one block, by their names within it."""
    if child.row.op == "conv":
        yield from _conv_norm("", outgoing, incoming)
        return
    hidden = _hidden(parent, child, original, incoming)
    if child.row.op == "mbpool":
        yield from _conv_norm("expand.", hidden, incoming)
        yield "project.weight", (outgoing, hidden)
        return
    yield from _conv_norm("layers.expand.", hidden, incoming)
    yield from _conv_norm("layers.depthwise.", hidden, torch.zeros(1, dtype=torch.long))
    if child.row.se != "none" and original.row.se != "none":
        squeezed = _most_important(squeeze_importance(parent, original), _squeezed(child))
        yield "layers.se.fc1.weight", (squeezed, hidden)
        yield "layers.se.fc1.bias", (squeezed,)
        yield "layers.se.fc2.weight", (hidden, squeezed)
        yield "layers.se.fc2.bias", (hidden,)
    yield from _conv_norm("layers.project.", outgoing, hidden)


def _conv_norm(prefix: str, outgoing: Tensor, incoming: Tensor) -> Iterator[tuple[str, _Picks]]:
    """The choices for a convolution and the norm after it."""
    yield f"{prefix}0.weight", (outgoing, incoming)
    for suffix in ("0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
        yield f"{prefix}{suffix}", (outgoing,)
    yield f"{prefix}1.num_batches_tracked", ()


def _hidden(parent: Parent, child: Site, original: Site, incoming: Tensor) -> Tensor:
    """The choice of hidden channels.

    Without an expansion they are the block's input. If only one of the two blocks has an expansion, their
    hidden channels have nothing in common.
    """
    assert child.row.expansion is not None
    assert original.row.expansion is not None
    wanted = int(hidden_width(child.in_channels, child.row.expansion))
    offered = int(hidden_width(original.in_channels, original.row.expansion))
    if child.row.op == "mbconv":
        plain, was_plain = wanted == child.in_channels, offered == original.in_channels
        if plain and was_plain:
            return incoming
        if plain or was_plain:
            return torch.full((wanted,), _FRESH)
    return _most_important(hidden_importance(parent, original), wanted)


def _squeezed(child: Site) -> int:
    """The channels inside the squeeze-and-excitation of a block."""
    assert child.row.expansion is not None
    hidden = hidden_width(child.in_channels, child.row.expansion)
    return int(squeeze_width(hidden, child.row.expansion, child.row.squeeze == "hidden"))


def _most_important(importance: Tensor, count: int) -> Tensor:
    """The `count` most important of the parent's channels, in its order; `_FRESH` for those that it lacks."""
    order = torch.argsort(importance, descending=True, stable=True)[:count]
    missing = torch.full((count - len(order),), _FRESH)
    return torch.cat([order.sort().values, missing])


def _copy(target: Tensor, copied: Tensor, source: Tensor, picks: _Picks) -> None:
    """Copy the chosen part of a parent's tensor into a candidate's, and mark it in `copied`."""
    chosen = source
    places: list[Tensor | slice] = []
    for dimension, pick in enumerate(picks):
        kept = torch.nonzero(pick != _FRESH).flatten()
        chosen = chosen.index_select(dimension, pick[kept])
        places.append(kept.view(-1, *[1] * (len(picks) - 1 - dimension)))
    for dimension in range(len(picks), source.dim()):
        size, offered = target.shape[dimension], source.shape[dimension]
        common = min(size, offered)
        chosen = chosen.narrow(dimension, (offered - common) // 2, common)
        start = (size - common) // 2
        places.append(slice(start, start + common))
    whole = (*places[: len(picks)], *[slice(None)] * (target.dim() - len(picks)))
    target[whole] = 0  # the border of a kernel that is larger than the parent's
    target[tuple(places)] = chosen.to(target.dtype)
    copied[whole] = True
