"""What the scores of a split leave out is said."""

from __future__ import annotations

from dataclasses import replace

import toys

from detector.data.records import Subset
from detector.evaluation.remarks import remarks

SETTINGS = toys.SETTINGS.replace(test_proposals=500, detections=400)


def test_the_least_of_the_limits_on_objects_is_said() -> None:
    crowded, _ = remarks(_with_objects(225), SETTINGS)
    rule = "AP and recall count 100 detections of a class in an image, the surest"
    assert crowded == f"{rule}; 1 of 2 val images has more objects (up to 225)"
    crowded, _ = remarks(_with_objects(225), SETTINGS.replace(detections=100))
    more = "1 of 2 val images has more objects (up to 225)"
    assert crowded == f"the detector keeps 100 detections of an image (detections); {more}"
    crowded, _ = remarks(_with_objects(31), toys.SETTINGS.replace(test_proposals=30))
    more = "1 of 2 val images has more objects (up to 31)"
    assert crowded == f"the detector looks at 30 regions of an image (test_proposals); {more}"


def test_cocos_limit_is_one_of_each_class() -> None:
    """Two classes of 90 objects in one image are found by 180 detections."""
    assert len(remarks(_with_objects(90, 90), SETTINGS)) == 1  # about sizes
    crowded, _ = remarks(_with_objects(90, 110), SETTINGS)
    assert crowded.endswith("1 of 2 val images has more objects (up to 110)")


def test_sizes_without_objects_are_said() -> None:
    assert remarks(_with_objects(1), SETTINGS) == [
        "no medium and no large objects in val: their AP is not measured"
    ]
    val = _with_objects(3)
    objects = zip(val.annotations, (100.0, 2000.0, 20000.0), strict=True)
    of_all = tuple(each._replace(area=area) for each, area in objects)
    assert remarks(replace(val, annotations=of_all), SETTINGS) == []
    assert remarks(replace(val, annotations=()), SETTINGS) == []


def _with_objects(*counts: int) -> Subset:
    """Two images, one of which has so many small objects of each class."""
    val = toys.squares(train=1, val=2).val
    first = val.annotations[0]._replace(area=100.0)
    categories = [label for label, count in enumerate(counts, start=1) for _ in range(count)]
    objects = (first._replace(id=id, category_id=label) for id, label in enumerate(categories))
    return replace(val, annotations=tuple(objects))
