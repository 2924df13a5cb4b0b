"""Classes are matched by name, and what COCO's numbers leave out is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import toys
from toys import squares

from detector.data.records import CocoData
from detector.evaluation.loop import evaluate
from detector.evaluation.renumbered import matched
from nars.errors import WeightsError

CPU = torch.device("cpu")


def test_another_order_of_the_classes_gives_the_same_scores() -> None:
    data = squares(train=1, val=4)
    model = toys.model(score_threshold=0.0)
    assert matched(model, toys.CLASSES, data, "w.pt") is model
    other = toys.in_other_order(data)
    assert other.classes == tuple(reversed(toys.CLASSES))
    first = evaluate(model, data, device=CPU)
    second = evaluate(matched(model, toys.CLASSES, other, "w.pt"), other, device=CPU)
    assert dict(first.boxes.per_class) == pytest.approx(dict(second.boxes.per_class))
    own = {category.id for category in other.categories}
    assert {result["category_id"] for result in second.results} <= own


def test_detections_of_further_classes_are_left_out() -> None:
    data = squares(train=1, val=2)
    model = toys.model(score_threshold=0.0)
    names = ("further", *toys.CLASSES[1:])
    renamed = CocoData(*(_without(subset, toys.CLASSES[0]) for subset in data.subsets))
    assert renamed.classes == toys.CLASSES[1:]
    found = evaluate(matched(model, names, renamed, "w.pt"), renamed, device=CPU).results
    assert {result["category_id"] for result in found} <= {category.id for category in renamed.categories}


def _without(subset, name):  # type: ignore[no-untyped-def]
    gone = {category.id for category in subset.categories if category.name == name}
    categories = tuple(category for category in subset.categories if category.id not in gone)
    annotations = tuple(each for each in subset.annotations if each.category_id not in gone)
    return replace(subset, categories=categories, annotations=annotations)


def test_other_classes_are_refused() -> None:
    data = squares(train=1, val=1)
    with pytest.raises(WeightsError, match=r"mine.pt finds 1 class \(red\), the data has 3"):
        matched(toys.model(), ["red"], data, "mine.pt")
    with pytest.raises(WeightsError, match=r"mine.pt finds 2 classes \(red, green\), the data has 3"):
        matched(toys.model(), toys.CLASSES[:2], data, "mine.pt")
