"""The parent as a detector of a space, at every size of images: what simple cuts start from."""

from __future__ import annotations

import contextlib

import numpy as np

from detector.data.records import CocoData
from detector.space.candidate import DetectorCandidate
from detector.space.decoding import OF_SETTINGS, longest
from detector.space.inverse import encode_recipe
from detector.space.space import DetectorSpace
from nars.errors import SpecError
from nars.parents.space.cuts import nearest_recipe
from nars.space.genotypes import Genotype
from nars.space.values import nearest

__all__ = ["proposals_for", "wholes_of"]

_SPARE, _FEWEST, _IMAGES = 2.0, 6, 0.95
"""Proposals per object, and the fewest; for this share of the images they are enough."""

_TRAINED = tuple(field for fields in OF_SETTINGS.values() for field in fields)
"""Settings that belong to the recipe of a space."""


def proposals_for(data: CocoData) -> int:
    """How many regions of an image the box head has to see to find nearly all objects."""
    objects = [len(data.train.by_image[image.id]) for image in data.train.images]
    return max(_FEWEST, round(_SPARE * float(np.quantile(objects, _IMAGES))))


def wholes_of(space: DetectorSpace, detector: DetectorCandidate, proposals: int) -> list[Genotype]:
    """Genotypes of a detector at each resolution of the space, the largest first, with so many proposals.

    What the space does not have of the recipe, or of proposals, becomes the nearest that it has. The list is
    empty if the detector is not in the space otherwise.
    """
    values = encode_recipe(space, detector.recipe, detector.settings)
    allowed = space.decode(nearest_recipe(space, values))
    settings = detector.settings.replace(**{name: getattr(allowed.settings, name) for name in _TRAINED})
    if "proposals" in space.distributions:
        kept = nearest(space.distributions["proposals"], proposals)
        settings = settings.replace(test_proposals=kept)
    found = []
    for side in reversed(space.sides):
        sized = settings.replace(shortest=(side,), longest=longest(side))
        whole = detector.replace(recipe=allowed.recipe, settings=sized)
        with contextlib.suppress(SpecError):  # it is not in the space
            found.append(space.encode(whole))
    return found
