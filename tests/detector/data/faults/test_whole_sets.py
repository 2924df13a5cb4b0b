from __future__ import annotations

import json
from pathlib import Path

import folders
import numpy as np
import pytest

from detector.data.check import check
from detector.data.faults import small_boxes, whole_sets
from detector.data.findings import summary
from detector.space.spaces import space
from nars.space.genotypes import sample, to_genotypes


def test_the_finest_anchors_and_the_largest_size_are_those_of_the_space() -> None:
    candidates = space("fbnetv3od").replace(num_classes=3)
    rows = to_genotypes(candidates, sample(candidates, 300, np.random.default_rng(0)))
    settings = [candidates.decode(row).settings for row in rows]
    assert max(max(each.shortest) for each in settings) == whole_sets._SHORTEST
    assert max(each.longest for each in settings) == whole_sets._LONGEST
    finest = min(min(map(min, each.anchor_sizes)) for each in settings)
    assert finest == small_boxes.FINEST
    assert {each.rpn_background_iou for each in settings} == {small_boxes._SEEN}


@pytest.mark.parametrize(
    ("box", "code"),
    [
        ([10, 10, 9, 9], None),  # 4.5 x 4.5 pixels: overlaps 0.32 with the finest anchor
        ([10, 10, 8, 8], "box-small"),
        ([10, 10, 40, 2], "box-small"),  # long, and thinner than any anchor sees
        ([10, 10, 140, 2.5], None),  # 70 x 1.25 pixels are a larger anchor's
        ([10, 10, 40, 0.5], "box-tiny"),
    ],
)
def test_small_is_what_the_finest_anchors_do_not_see(
    tmp_path: Path, box: list[float], code: str | None
) -> None:
    for split, count in (("train", 1), ("val", 1)):
        document = folders.document(count, 640, 640)
        document["annotations"][0]["bbox"] = box
        folders.picture(tmp_path / split / "1.png", 640, 640, seed=len(split))
        (tmp_path / split / "annotations.json").write_text(json.dumps(document))
    assert summary(check(tmp_path)) == ({code: 2} if code else {})
