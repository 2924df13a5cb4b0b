"""A detector that is trained further finds its classes, whatever order the data have them in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toys
from torch import Tensor

from detector.data.records import Category, CocoData, Subset
from detector.model.detector import Detector
from detector.space.candidate import DetectorCandidate
from detector.space.planned import planned_for
from detector.weights.saved import load_detector, save_detector

CPU = torch.device("cpu")
TURNED = ("green", "blue", "red")


@pytest.mark.parametrize("source", ["saved", "candidate"])
def test_classes_are_loaded_by_their_names(source: str, tmp_path: Path) -> None:
    model = toys.model(mask=True, score_threshold=0.0).eval()
    file = tmp_path / "toy.pt"
    save_detector(file, model, toys.CLASSES)
    data = CocoData(*map(_turned, toys.squares(train=1, val=1).subsets))
    assert data.classes == TURNED
    sources = {
        "saved": load_detector(file),
        "candidate": DetectorCandidate(
            architecture=toys.PARTS, settings=model.settings, anchors="given", recipe=toys.TRAINING
        ),
    }
    weights = str(file) if source == "candidate" else None
    built = planned_for(sources[source], data, CPU, weights=weights).build(3, seed=1).eval()

    image = torch.rand(3, 48, 60, generator=torch.Generator().manual_seed(0))
    before, after = _found(model, image, toys.CLASSES), _found(built, image, TURNED)
    assert before.keys() == after.keys() == set(toys.CLASSES)
    for name, tensors in before.items():
        for mine, theirs in zip(tensors, after[name], strict=True):
            torch.testing.assert_close(mine, theirs)


def test_other_classes_are_loaded_in_their_order(tmp_path: Path) -> None:
    """Those of the data may be the same ones by other names."""
    model = toys.model()
    save_detector(tmp_path / "toy.pt", model, ("rouge", "vert", "bleu"))
    data = toys.squares(train=1, val=1)
    built = planned_for(load_detector(tmp_path / "toy.pt"), data, CPU).build(3, seed=1)
    for name, tensor in model.state_dict().items():
        assert torch.equal(built.state_dict()[name], tensor), name


def test_classes_that_are_known_keep_their_weights_among_others(tmp_path: Path) -> None:
    """The others take the places that are left."""
    model = toys.model()
    save_detector(tmp_path / "toy.pt", model, ("green", "blue", "yellow"))
    data = toys.squares(train=1, val=1)
    assert data.classes == ("red", "green", "blue")
    built = planned_for(load_detector(tmp_path / "toy.pt"), data, CPU).build(3, seed=1)
    before, after = (each.roi_heads.box_predictor.cls_score.weight for each in (model, built))
    assert torch.equal(after, before[[2, 0, 1, 3]])


def _turned(subset: Subset) -> Subset:
    categories = tuple(Category(label, name) for label, name in enumerate(TURNED, start=1))
    ids = {each.id: TURNED.index(each.name) + 1 for each in subset.categories}
    boxes = tuple(each._replace(category_id=ids[each.category_id]) for each in subset.annotations)
    return replace(subset, annotations=boxes, categories=categories)


def _found(model: Detector, image: Tensor, classes: tuple[str, ...]) -> dict[str, list[Tensor]]:
    """Boxes, scores and masks by the name of the class."""
    with torch.no_grad():
        (found,) = model([image])
    of = {name: found["labels"] == label for label, name in enumerate(classes, start=1)}
    names = ("boxes", "scores", "masks")
    return {name: [found[each][rows] for each in names] for name, rows in of.items() if rows.any()}
