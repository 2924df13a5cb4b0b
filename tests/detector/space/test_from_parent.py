"""The detectors that simple cuts start from: the parent at every size, with the recipe of its fine-tuning."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import toys

from detector.data.records import CocoData
from detector.model.cost import count_parts
from detector.space.from_parent import image_side, proposals_for, space_of, wholes_of
from detector.space.reference import FINE_TUNING, reference_candidate, reference_of
from detector.space.space import DetectorSpace
from detector.space.spaces import DEFAULT, space
from detector.task import Detection
from detector.weights.parents import DetectorParent, parent_called
from nars.parents.space import best_cuts, cuts

CPU = torch.device("cpu")
LITE = parent_called("efficientnet_lite0")


def in_photos(data: CocoData, width: int = 320, height: int = 240) -> CocoData:
    """The same data with records of images of another size."""
    return CocoData(
        *(
            replace(
                subset, images=tuple(image._replace(width=width, height=height) for image in subset.images)
            )
            for subset in data.subsets
        )
    )


@pytest.fixture(scope="module")
def task() -> Detection:
    return Detection(in_photos(toys.squares()), CPU, parent=LITE)


@pytest.fixture(scope="module")
def within(task: Detection) -> DetectorSpace:
    found = task.suited(task.space_of_parent(4e8)).for_classes(3)
    assert isinstance(found, DetectorSpace)
    return found


def test_the_box_head_sees_twice_as_many_regions_as_nearly_all_images_have_objects() -> None:
    data = toys.squares()  # one or two objects an image
    assert proposals_for(data) == 6
    crowded = [each._replace(image_id=1) for each in data.train.annotations[:20]]
    alone = replace(data.train, images=data.train.images[:1], annotations=tuple(crowded))
    assert proposals_for(CocoData(alone, data.val)) == 40
    with_crowds = replace(alone, annotations=(*crowded, *(each._replace(crowd=True) for each in crowded)))
    assert proposals_for(CocoData(with_crowds, data.val)) == 40


def test_wholes_are_the_parent_at_every_size(task: Detection, within: DetectorSpace) -> None:
    assert LITE is not None
    settings = task.reference(within, None)
    wholes = [within.decode(genotype) for genotype in task.wholes(within, settings)]
    assert [max(each.settings.shortest) for each in wholes] == within.sides[::-1]
    reference = reference_candidate(LITE, reference_of(224, 16, 0.5))
    for each in wholes:
        assert task.costs(each)["params"] == task.costs(reference)["params"]
        assert each.settings.test_proposals == 6
        assert (each.recipe.lr, each.recipe.jitter) == (FINE_TUNING.lr, FINE_TUNING.jitter)


def test_cuts_are_just_within_the_limit(task: Detection, within: DetectorSpace) -> None:
    wholes = task.wholes(within, task.reference(within, None))
    genotypes = best_cuts(cuts(within, wholes, within, {"macs": 4e8}))
    assert len(genotypes) == 2
    for genotype in genotypes:
        candidate = within.decode(genotype)
        macs = count_parts(candidate.architecture, candidate.settings, 3).macs
        assert 3.6e8 < macs <= 4e8


def test_a_space_without_the_parent_has_nothing_to_cut() -> None:
    assert LITE is not None
    detector = reference_candidate(LITE, reference_of(224, 16, 0.5))
    assert wholes_of(space(DEFAULT).segmenting(False), detector.replace(architecture=toys.PARTS), 6) == []


def test_no_more_stages_are_frozen_than_a_trunk_has() -> None:
    parts = toys.PARTS.replace(trunk=toys.PARTS.trunk[:1])
    parent = DetectorParent(parts, {}, toys.SETTINGS.pixels, 48, "a shallow network")
    searched = space_of(parent, space(DEFAULT), toys.squares(), None)
    assert searched.distributions["recipe.freeze"].high == 1


@pytest.mark.parametrize(("width", "height"), [(640, 64), (64, 640), (448, 448)])
def test_images_far_wider_than_high_are_not_shrunk_to_the_share_of_their_height(
    width: int, height: int
) -> None:
    """The bound on the longer side would make 96 x 10 pixels of 640 x 64."""
    data = in_photos(toys.squares(), width, height)
    assert LITE is not None
    searched = space_of(LITE, space(DEFAULT), data, None)
    assert searched.sides[-1] == 320
    assert image_side(data) == 448
