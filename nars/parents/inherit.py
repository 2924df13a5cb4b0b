"""Gives a candidate what fits of its parent's weights.

The most important channels are kept, one choice for every residual stream; kernels keep their centres; a
stream keeps its first blocks. What is larger than the parent keeps its fresh weights there. A candidate that
does not differ from its parent computes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nars.networks.blocks import is_residual
from nars.parents.alignment import Site, streams
from nars.parents.importance import hidden_importance, squeeze_importance, stream_importance
from nars.parents.parent import Parent
from nars.space.widths import hidden_width, squeeze_width
from nars.spec import Architecture

__all__ = ["Copying", "Inheritance", "Picks", "inherit", "same_channels"]

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
    copying = Copying(model)
    incoming = same_channels(architecture.in_channels, parent.architecture.in_channels)
    features = copying.blocks(architecture, parent, incoming)
    same = classes is not None and classes == parent.classes
    if same:
        every = torch.arange(len(parent.classes))
        for leaf, picks in (("weight", (every, features)), ("bias", (every,))):
            name = f"head.classifier.{leaf}"
            copying.tensor(name, parent.state.get(name), picks)
    return copying.finished(classifier=same)


Picks = tuple[Tensor, ...]
"""For each of the first dimensions of a tensor, the parent's index for each of the candidate's."""


def same_channels(count: int, offered: int) -> Tensor:
    """The choice of all channels if a parent has as many, else of none."""
    return torch.arange(count) if count == offered else torch.full((count,), _FRESH)


class Copying:
    """Copies parts of a parent's tensors into a network, and counts what was copied."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._state = model.state_dict()  # shares memory with the network
        self._copied = {
            name: torch.zeros_like(tensor, dtype=torch.bool) for name, tensor in self._state.items()
        }
        self.outputs: dict[str, Tensor] = {}
        """The parent's index of every output channel of each block, by its name in the network."""

    def blocks(
        self,
        architecture: Architecture,
        parent: Parent,
        incoming: Tensor,
        name_of: Callable[[str], str] = str,
    ) -> Tensor:
        """Copy what fits of the parent's blocks, and return its index of every channel of the last one.

        Blocks beyond the parent's depth start as the identity. `incoming` are its indices of the input
        channels, -1 for one that it lacks; `name_of` turns ``stages.STAGE.BLOCK`` into the name of the block
        in the network. Raises `WeightsError` if the stages
        of the two differ in kind.
        """
        for stream in streams(architecture, parent.architecture):
            outgoing = _most_important(stream_importance(parent, stream.parent), stream.child[0].row.channels)
            for child, original in stream.pairs():
                self.outputs[name_of(child.name)] = outgoing
                if original is None:
                    self._as_identity(child, name_of(child.name))
                else:
                    for suffix, picks in _block_picks(parent, child, original, incoming, outgoing):
                        source = parent.state.get(f"{original.name}.{suffix}")
                        self.tensor(f"{name_of(child.name)}.{suffix}", source, picks)
                incoming = outgoing
        return incoming

    def _as_identity(self, site: Site, name: str) -> None:
        """Let a residual block add nothing at first, if its last norm can learn otherwise."""
        scale = f"{name}.layers.project.1.weight"
        if is_residual(site.row, site.in_channels) and scale in dict(self._model.named_parameters()):
            self._state[scale].zero_()

    def tensor(self, name: str, source: Tensor | None, picks: Picks) -> None:
        """Copy what is chosen of a parent's tensor, if both networks have one."""
        if name in self._state and source is not None:
            _copy(self._state[name], self._copied[name], source, picks)

    def finished(self, *, classifier: bool) -> Inheritance:
        """Count what was copied."""
        learned = {name for name, _ in self._model.named_parameters()}
        return Inheritance(
            inherited=sum(int(self._copied[name].sum()) for name in learned),
            parameters=sum(self._state[name].numel() for name in learned),
            classifier=classifier,
        )


def _block_picks(
    parent: Parent, child: Site, original: Site, incoming: Tensor, outgoing: Tensor
) -> Iterator[tuple[str, Picks]]:
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


def _conv_norm(prefix: str, outgoing: Tensor, incoming: Tensor) -> Iterator[tuple[str, Picks]]:
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


def _copy(target: Tensor, copied: Tensor, source: Tensor, picks: Picks) -> None:
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
