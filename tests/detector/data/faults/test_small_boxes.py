from __future__ import annotations

from dataclasses import replace

import pytest
import toys

from detector.data.faults.small_boxes import is_seen, side_that_shows, unseen


def longest(side: int) -> int:
    return 2 * side


@pytest.mark.parametrize(
    ("width", "height", "seen"), [(18, 18, True), (17, 17, False), (40, 26, True), (60, 5, False)]
)
def test_seen_is_an_overlap_of_three_tenths_with_a_finest_anchor(
    width: float, height: float, seen: bool
) -> None:
    assert is_seen(width, height, 32.0) is seen
    assert is_seen(width / 4, height / 4, 8.0) is seen


def test_the_side_that_shows_a_box_is_the_least_of_its_step() -> None:
    data = toys.squares(4, 2)
    box = data.train.annotations[0]
    image = next(image for image in data.train.images if image.id == box.image_id)
    small = box._replace(box=(1.0, 1.0, 6.0, 6.0))
    crowd = box._replace(box=(1.0, 1.0, 2.0, 2.0), crowd=True)
    train = replace(data.train, annotations=(small, crowd))
    missed = unseen(train, 48, longest, 32.0)
    assert missed == [(small, image)]
    side = side_that_shows(missed, longest, 32.0)
    assert side == 160  # 20 pixels are seen, the 16 of 128 are not
    assert unseen(train, side, longest, 32.0) == []
    assert side_that_shows([(box._replace(box=(1.0, 1.0, 0.1, 0.1)), image)], longest, 32.0) is None
