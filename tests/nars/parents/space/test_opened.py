"""The space of a parent holds the parent, and only networks that inherit all of their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nars
from nars.cli import main
from nars.parents.alignment import streams
from nars.parents.inherit import inherit
from nars.parents.parent import Parent
from nars.parents.space import space_of
from nars.space import Space, genotypes
from nars.space.cost import count
from nars.spec import Architecture, Block, Candidate
from search_spaces import published
from search_spaces.catalogue import names


def recipe_of(space: Space) -> nars.Recipe:
    matrix = genotypes.sample(space, 1, np.random.default_rng(0))
    return space.decode(genotypes.to_genotypes(space, matrix)[0]).recipe


@pytest.mark.parametrize("name", names())
def test_a_parent_is_in_its_space_and_the_largest_there(name: str) -> None:
    architecture = published(name)
    space = space_of(architecture)
    assert Space.from_yaml(space.to_yaml()) == space
    genotype = space.encode(Candidate(architecture=architecture, recipe=recipe_of(space)))
    decoded = space.decode(genotype, name).architecture
    assert list(decoded.blocks()) == list(architecture.blocks())
    assert decoded.replace(stages=architecture.stages) == architecture
    matrix = genotypes.sample(space, 500, np.random.default_rng(1))
    assert space.cost(matrix).macs.max() <= count(architecture).macs
    assert space.cost(matrix).macs.min() < count(architecture).macs / 8


@pytest.mark.parametrize("name", ["efficientnet_lite0", "fbnetv3_b"])
def test_candidates_inherit_all_but_the_classifier(name: str) -> None:
    architecture = published(name)
    space = space_of(architecture).replace(num_classes=10)
    parent = Parent(
        architecture, nars.build(architecture, 10).state_dict(), ("",) * 10, (0.5,) * 3, (0.5,) * 3, name
    )
    matrix = genotypes.sample(space, 40, np.random.default_rng(2))
    for number, genotype in enumerate(genotypes.to_genotypes(space, matrix)):
        child = space.decode(genotype).architecture
        for stream in streams(child, architecture):
            assert len(stream.child) <= len(stream.parent)
        if number < 5:
            inherited = inherit(nars.build(child, 10), child, parent)
            head = 10 * child.stages[-1][-1].channels + 10
            assert inherited.parameters - inherited.inherited == head


def test_the_dimensions_of_lite0() -> None:
    space = space_of(published("efficientnet_lite0"))
    assert set(space.architecture_names) == {
        "resolution",
        *(f"{row}.channels" for row in ("stem", "stage1", "stage2", "stage3", "head")),
        *(f"stage{stage}_{row}.channels" for stage in (4, 5) for row in (0, 1)),
        *(f"{row}.expansion" for row in ("stage2", "stage3", "stage4_0", "stage4_1", "stage5_0", "stage5_1")),
        *(f"{row}.depth" for row in ("stage2", "stage3", "stage4_0", "stage4_1", "stage5_0")),
        *(f"{row}.kernel" for row in ("stage3", "stage4_1", "stage5_0")),
    }
    choices = {name: space.distributions[name] for name in space.architecture_names}
    assert (choices["resolution"].low, choices["resolution"].high) == (32, 224)
    assert (choices["stage5_1.channels"].low, choices["stage5_1.channels"].high) == (160, 320)
    assert (choices["stage2.expansion"].low, choices["stage2.expansion"].step) == (1.5, 0.75)
    assert (choices["head.channels"].low, choices["head.channels"].step) == (640, 160)
    assert choices["stage3.kernel"].choices == (3, 5)
    assert (
        space_of(published("efficientnet_lite2")).distributions["resolution"].low == 36
    )  # 260 is a step away


def test_the_recipes_are_short_trainings_from_weights() -> None:
    """A dozen dimensions, around the recipe that children of EfficientNet-Lite0 were first trained by."""
    space = space_of(published("efficientnet_lite0"))
    assert len(space.recipe_names) == 13
    matrix = genotypes.sample(space, 200, np.random.default_rng(0))
    recipes = [space.decode(genotype).recipe for genotype in genotypes.to_genotypes(space, matrix)]
    assert {recipe.epochs for recipe in recipes} == {2, 4, 6, 8}
    assert {recipe.frozen_stages(len(space.stages)) for recipe in recipes} == {0, 1, 3}
    assert {recipe.magnitude for recipe in recipes if recipe.policy == "rand_augment"} == {3, 5, 7, 9}
    assert {recipe.magnitude for recipe in recipes if recipe.policy != "rand_augment"} == {3}
    known = recipes[0].replace(
        lr=0.05, ema_decay=0.99, label_smoothing=0.1, crop_area=0.5, policy="none", epochs=6
    )
    architecture = space.decode(genotypes.to_genotypes(space, matrix)[0]).architecture
    assert space.encode(Candidate(architecture=architecture, recipe=known))["recipe.lr"] == 0.05


def test_a_small_parent_leaves_little_open() -> None:
    stages = [
        [Block(op="conv", channels=12, kernel=3)],
        [Block(op="mbconv", channels=12, kernel=3, expansion=1)],
    ]
    space = space_of(Architecture(name="small", resolution=16, stages=stages))
    assert space.architecture_names == []


def test_spaces_prints_the_space_of_a_parent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spaces", "--from", "efficientnet_lite0"]) == 0
    text = capsys.readouterr().out
    assert Space.from_yaml(text) == space_of(published("efficientnet_lite0"))
    assert main(["spaces", "--from", "timm:fbnetv3_x"]) == 2
    assert "no parent is called 'timm:fbnetv3_x'" in capsys.readouterr().err
    assert main(["spaces", "--from", "none"]) == 2
    assert "no space can be made from none" in capsys.readouterr().err
    assert main(["spaces", "micro", "--from", "efficientnet_lite0"]) == 2
    assert "not both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("side", "macs", "most"),
    [
        (None, None, 224),
        (160, None, 160),
        (150, None, 160),  # the first that such images do not exceed
        (160, 32e6, 96),  # the parent has more than three times that at 112 pixels
        (160, 40e6, 112),
        (256, 8e6, 96),
        (40, 8e6, 48),
        (20, None, 32),
    ],
)
def test_resolutions_end_where_images_and_limits_do(side: int | None, macs: float | None, most: int) -> None:
    space = space_of(published("efficientnet_lite0"), side, macs)
    assert max(space.sides) == most
