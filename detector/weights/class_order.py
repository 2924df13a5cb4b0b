"""Puts what a checkpoint knows about classes into the order that the data have them in."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from detector.weights.checkpoints import Checkpoint, Layer

__all__ = ["in_order_of"]

_OF_CLASSES = ("box predictor", "mask predictor")
"""Sections with outputs for each class."""


def in_order_of(checkpoint: Checkpoint, classes: tuple[str, ...]) -> Checkpoint:
    """The checkpoint with its classes in this order, by their names.

    If it has as many, but not just these, the others take the places that are left. It stays as it is if it
    has more or fewer, or two of one name.
    """
    own = checkpoint.classes
    if own is None or own == classes or not len(own) == len(classes) == len(set(own)) == len(set(classes)):
        return checkpoint
    left = (name for name in own if name not in classes)
    order = torch.tensor([own.index(name if name in own else next(left)) for name in classes])
    moved = {
        section: [_moved(layer, order) for layer in checkpoint.sections[section]]
        for section in _OF_CLASSES
        if section in checkpoint.sections
    }
    return replace(checkpoint, sections=checkpoint.sections | moved, classes=classes)


def _moved(layer: Layer, order: Tensor) -> Layer:
    """A layer with a score, a mask or four deltas of each class; the score of the background is the last."""
    count = len(order)
    deltas = (4 * order[:, None] + torch.arange(4)).flatten()
    rows = {count: order, count + 1: torch.cat([order, torch.tensor([count])]), 4 * count: deltas}
    tensors = {
        leaf: tensor[rows[len(tensor)]] if tensor.dim() and len(tensor) in rows else tensor
        for leaf, tensor in layer.tensors.items()
    }
    return Layer(layer.name, tensors)
