from __future__ import annotations

from pathlib import Path

import pytest
from toys import PARTS

from detector.model.catalogue import published
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.held import held_detector, held_recipe
from detector.space.spaces import DEFAULT, space
from detector.training.hyperparameters import Training
from nars.errors import SpecError, UsageError
from nars.searching.catalogue import fixed
from nars.space.values import first_values

OPEN = space(DEFAULT).replace(num_classes=3)
TRAINING = Training(optimizer="adamw", lr=0.002, epochs=7, jitter=(0.8, 1.2), flip=0.25, mosaic=0.5)
CANDIDATE = DetectorCandidate(
    architecture=PARTS,
    settings=Settings(
        shortest=(48,),
        longest=80,
        pooler_resolution=4,
        test_proposals=12,
        anchor_sizes=((12, 20),),
        anchor_ratios=(1.0,),
        box_background_iou=0.45,
        box_object_iou=0.45,
        freeze=1,
    ),
    recipe=TRAINING,
)


def test_a_held_detector_is_that_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text(CANDIDATE.to_yaml())
    held = fixed(OPEN, [f"arch={tmp_path / 'best.yaml'}"])
    assert held.architecture_names == []
    assert held.recipe_names == OPEN.recipe_names
    made = held.decode(first_values(held.distributions))
    assert isinstance(made, DetectorCandidate)
    assert made.architecture.replace(name="toy") == PARTS
    names = ("shortest", "longest", "pooler_resolution", "test_proposals")
    assert [getattr(made.settings, name) for name in names] == [(48,), 80, 4, 12]
    assert len(made.settings.anchor_sizes[0]) == 2


def test_a_held_recipe_is_that_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text(CANDIDATE.to_yaml())
    held = fixed(OPEN, [f"recipe={tmp_path / 'best.yaml'}"])
    assert held.recipe_names == []
    made = held.decode(first_values(held.distributions))
    assert isinstance(made, DetectorCandidate)
    assert made.recipe == TRAINING
    assert (made.settings.box_object_iou, made.settings.freeze) == (0.45, 1)
    (tmp_path / "training.yaml").write_text(Training(epochs=3).to_yaml())
    plain = fixed(OPEN, [f"recipe={tmp_path / 'training.yaml'}"]).decode(first_values(held.distributions))
    assert plain.epochs == 3


def test_a_published_detector_is_held_by_name() -> None:
    held = fixed(OPEN, ["arch=fbnetv3a_dsmask_c4"])
    made = held.decode(first_values(held.distributions))
    assert isinstance(made, DetectorCandidate)
    assert made.architecture.box == published("fbnetv3a_dsmask_c4").box


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("arch=fbnetv3a_dsmsk_c4", "did you mean"),
        ("arch=none.yaml", "cannot read none.yaml"),
        ("recipe", "give recipe=FILE or arch=FILE"),
        ("fpn=64", "give recipe=FILE or arch=FILE"),
    ],
)
def test_what_cannot_be_held_is_one_line(part: str, message: str) -> None:
    with pytest.raises((UsageError, SpecError), match=message) as error:
        fixed(OPEN, [part])
    assert "\n" not in str(error.value)


def test_both_parts_leave_nothing_to_search(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text(CANDIDATE.to_yaml())
    with pytest.raises(UsageError, match="nothing is left to search"):
        fixed(OPEN, [f"{part}={tmp_path / 'best.yaml'}" for part in ("arch", "recipe")])


def test_a_recipe_that_no_space_describes_says_why() -> None:
    for changes, message in (({"jitter": (0.5, 1.0)}, "by 0.5 to 1"), ({"lr_images": 8}, "got lr_images 8")):
        with pytest.raises(UsageError, match=message):
            OPEN.replace(**_held(TRAINING.replace(**changes)))


def test_a_longer_side_out_of_proportion_is_refused() -> None:
    wide = CANDIDATE.replace(settings=CANDIDATE.settings.replace(longest=300))
    with pytest.raises(SpecError, match="longest side of 300, a search takes 80 for a shorter side of 48"):
        held_detector(wide)


def test_a_setting_that_no_search_has_is_refused() -> None:
    """Held without it, the detector would be another one, of other costs."""
    many = CANDIDATE.replace(settings=CANDIDATE.settings.replace(detections=300))
    with pytest.raises(SpecError, match="has detections = 300, a search has 100 for all detectors"):
        held_detector(many)


def test_a_recipe_of_two_overlaps_is_refused() -> None:
    settings = CANDIDATE.settings.replace(box_background_iou=0.3)
    with pytest.raises(UsageError, match="a search takes one box_iou"):
        held_recipe((TRAINING, settings))


def _held(training: Training) -> dict[str, object]:
    return dict(held_recipe((training, CANDIDATE.settings)))
