"""The weights that the trunk and the box head of a detector inherit from a trained classifier."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from detector.weights.checkpoints import Checkpoint, checkpoint_of
from nars.device import seeded
from nars.networks.build import build
from nars.networks.weights import Weights
from nars.parents.inherit import inherit
from nars.parents.parent import Parent
from nars.spec import Architecture, Candidate

__all__ = ["inherited"]

logger = logging.getLogger(__name__)


def inherited(architecture: Architecture, parent: Parent, seed: int) -> Checkpoint:
    """A classifier of `architecture` with what fits of a parent's weights, and the pixels that it takes.

    Channels of the largest weights are kept. The two classifiers' heads, which a detector leaves out, may
    be of any kind. What the parent lacks is drawn from `seed`. Raises `WeightsError` if the stages of the
    two differ in kind.
    """
    body, trained = _without_head(architecture), _without_head(parent.architecture)
    with seeded(seed, torch.device("cpu")):
        model = build(body, num_classes=1)
    copied = inherit(model, body, replace(parent, architecture=trained)).inherited
    share = copied / sum(each.numel() for each in model.get_submodule("stages").parameters())
    logger.info("inherited %.1f%% of trunk and box head from %s", 100 * share, parent.source)
    return checkpoint_of(
        Weights(
            candidate=Candidate(architecture=body),
            classes=(),
            mean=parent.mean,
            std=parent.std,
            metrics={},
            state=model.state_dict(),
            source=parent.source,
        )
    )


def _without_head(architecture: Architecture) -> Architecture:
    return architecture.replace(stages=architecture.spatial_stages())
