"""How much each channel of a parent matters: as measured, else read off its weights.

A hidden channel of an inverted residual block counts by the scale of the norm after its depthwise
convolution times the norm of its column in the projection: the size of what it can add to the block's
output. A channel of a residual stream counts by the scales of the norms that write it, summed over its
blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nars.parents.alignment import Site
from nars.parents.parent import Parent

__all__ = ["hidden_importance", "hidden_name", "output_name", "squeeze_importance", "stream_importance"]


def hidden_name(site: Site) -> str:
    """The key, in `Parent.importance`, of the importance [hidden] of a block's hidden channels."""
    return f"{site.name}.hidden"


def output_name(site: Site) -> str:
    """The key, in `Parent.importance`, of the importance [channels] of a block's output channels."""
    return f"{site.name}.output"


def hidden_importance(parent: Parent, site: Site) -> Tensor:
    """The importance [hidden] of the hidden channels of an mbconv or mbpool block."""
    measured = parent.importance.get(hidden_name(site))
    return _hidden_norms(parent.state, site) if measured is None else measured


def squeeze_importance(parent: Parent, site: Site) -> Tensor:
    """The importance [squeezed] of the channels inside squeeze-and-excitation."""
    reads = _rows(parent.state[f"{site.name}.layers.se.fc1.weight"])
    return reads * _columns(parent.state[f"{site.name}.layers.se.fc2.weight"])


def stream_importance(parent: Parent, sites: Sequence[Site]) -> Tensor:
    """The importance [channels] of the channels that the blocks of a stream write together."""
    measured = [parent.importance.get(output_name(site)) for site in sites]
    known = [values for values in measured if values is not None]
    if len(known) < len(sites):
        known = [_written(parent.state, site) for site in sites]
    return torch.stack(known).sum(dim=0)


def _hidden_norms(state: Mapping[str, Tensor], site: Site) -> Tensor:
    """The size of what each hidden channel can add to the output of its block."""
    if site.row.op == "mbpool":
        return state[f"{site.name}.expand.1.weight"].abs() * _columns(state[f"{site.name}.project.weight"])
    columns = _columns(state[f"{site.name}.layers.project.0.weight"])
    scale = state.get(f"{site.name}.layers.depthwise.1.weight")  # a bare depthwise convolution has no norm
    return columns if scale is None else scale.abs() * columns


def _written(state: Mapping[str, Tensor], site: Site) -> Tensor:
    """How large the values are that a block writes to each of its output channels."""
    if site.row.op == "mbpool":
        return _rows(state[f"{site.name}.project.weight"])
    prefix = f"{site.name}.layers.project" if site.row.op == "mbconv" else site.name
    scale = state.get(f"{prefix}.1.weight")  # a norm sets the size of what it lets through
    return _rows(state[f"{prefix}.0.weight"]) if scale is None else scale.abs()


def _rows(weight: Tensor) -> Tensor:
    """The norm of the weights of every output channel."""
    norms: Tensor = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    return norms


def _columns(weight: Tensor) -> Tensor:
    """The norm of the weights that read every input channel."""
    return _rows(weight.transpose(0, 1))
