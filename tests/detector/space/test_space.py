"""The space of detectors: its costs, and the published detectors inside it."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
import torch
import toys
import yaml

from detector.model.catalogue import published, published_settings
from detector.model.cost import count
from detector.model.detector import Detector
from detector.model.parts import Parts, parts_of
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.conversion import of_classifiers
from detector.space.reference import FINE_TUNING
from detector.space.space import DetectorSpace
from detector.space.spaces import DEFAULT, space
from detector.task import Detection
from detector.training.hyperparameters import Training
from nars.errors import InfeasibleError, SpecError, UsageError
from nars.sampling.sampler import NarsSampler
from nars.space import feasible
from nars.space.genotypes import sample, to_genotypes
from nars.spec import Block
from search_spaces import published as classifier
from search_spaces import space as classifiers

OPEN = space(DEFAULT).replace(num_classes=3)
RECIPE = Training(lr=0.1, epochs=8, ema=True, ema_decay=0.99, flip=0.5)


def blocks(parts: Parts) -> list[Block]:
    rows = [*(row for stage in parts.trunk for row in stage), *parts.rpn, *parts.box]
    return [row.single(repeat) for row in rows for repeat in range(row.repeats)]


def built(candidate: DetectorCandidate) -> Detector:
    with torch.device("meta"):
        return Detector(candidate.architecture, 3, candidate.settings)


def test_several_workers_start_with_the_recipe_of_a_fine_tuning() -> None:
    searched = OPEN.segmenting(False)
    sampler = NarsSampler(searched, limits={"macs": 4e8}, objectives=["ap"], seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    asked = [study.ask(dict(searched.distributions)) for _ in range(9)]
    recipes = [searched.decode(trial.params).recipe for trial in asked]
    usual = [(recipe.lr, recipe.jitter) == (FINE_TUNING.lr, FINE_TUNING.jitter) for recipe in recipes]
    assert usual == [False] + 4 * [True, False]


def test_a_style_decides_the_padding_that_is_counted() -> None:
    """A row's own padding is not that of the built detector."""
    trunk = [[row.replace(padding=1) if row.kernel == 3 else row for row in stage] for stage in OPEN.trunk]
    stem, *others = trunk[0]
    trunk[0] = [stem.replace(kernel=5, padding=1), *others]
    searched = OPEN.replace(trunk=trunk).segmenting(False)
    matrix = sample(searched, 6, np.random.default_rng(0))
    known = searched.statistics(matrix)["macs"]
    assert known.tolist() == [
        count(built(searched.decode(genotype))).macs for genotype in to_genotypes(searched, matrix)
    ]


@pytest.mark.parametrize("mask", [False, True])
def test_costs_are_those_of_the_built_detectors(mask: bool) -> None:
    searched = OPEN.segmenting(mask)
    matrix = sample(searched, 30, np.random.default_rng(1))
    known = searched.statistics(matrix)
    for at, genotype in enumerate(to_genotypes(searched, matrix)):
        model = built(searched.decode(genotype))
        params = sum(parameter.numel() for parameter in model.parameters())
        assert (count(model).macs, params) == (known["macs"][at], known["params"][at])


def test_macs_of_a_rectangle_are_those_of_its_layers() -> None:
    candidate = OPEN.segmenting(False).decode(
        to_genotypes(OPEN, sample(OPEN, 1, np.random.default_rng(0)))[0]
    )
    settings = candidate.settings.replace(shortest=(96,), longest=160, test_proposals=7)
    torch.manual_seed(0)
    model = Detector(candidate.architecture, 3, settings).eval()
    layers = [layer for layer in model.backbone.modules() if isinstance(layer, torch.nn.Conv2d)]
    total = 0

    def add(layer: torch.nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    for layer in layers:
        layer.register_forward_hook(add)
    with torch.no_grad():
        model([torch.rand(3, 160, 96)])
    cost = count(model)
    assert (cost.side, cost.longer) == (96, 160)
    assert cost.trunk == total


@pytest.mark.parametrize("name", ["fbnetv3a_c4", "fbnetv3a_dsmask_c4"])
def test_published_detectors_lie_inside(name: str) -> None:
    candidate = DetectorCandidate(
        architecture=published(name), settings=published_settings(name).replace(box_samples=64), recipe=RECIPE
    )
    decoded = OPEN.decode(OPEN.segmenting(False).encode(candidate) | mask_of(candidate))
    assert blocks(decoded.architecture) == blocks(candidate.architecture)
    assert decoded.settings.shortest == (224,)
    assert decoded.settings.longest == 320
    assert decoded.recipe.replace(lr=0.1) == candidate.recipe


def mask_of(candidate: DetectorCandidate) -> dict[str, object]:
    """The dimensions of the mask head, which both published detectors share."""
    segmenting = candidate.replace(settings=candidate.settings.replace(mask=True))
    genotype = OPEN.encode(segmenting)
    assert OPEN.decode(genotype).architecture.mask == candidate.architecture.mask
    return {name: value for name, value in genotype.items() if name.startswith("mask")}


def test_lite0_cut_as_a_detector_lies_inside() -> None:
    parts = parts_of(classifier("efficientnet_lite0"))
    candidate = DetectorCandidate(architecture=parts, settings=Settings(box_samples=64), recipe=RECIPE)
    searched = OPEN.segmenting(False)
    decoded = searched.decode(searched.encode(candidate))
    assert blocks(decoded.architecture) == blocks(parts)
    assert decoded.architecture.norm_eps == 0.001
    assert round(count(built(decoded)).macs / 1e6) == round(count(built(candidate)).macs / 1e6)


def test_what_lies_outside_is_named() -> None:
    parts, searched = published("fbnetv3a_c4"), OPEN.segmenting(False)
    settings = Settings(box_samples=64)
    wide = parts.replace(rpn=(parts.rpn[0].replace(channels=512),))
    with pytest.raises(SpecError, match="the RPN tower is outside space fbnetv3od"):
        searched.encode(DetectorCandidate(architecture=wide, settings=settings, recipe=RECIPE))
    large = settings.replace(shortest=(640,), longest=928)
    with pytest.raises(SpecError, match="resolution = 640 is outside space fbnetv3od"):
        searched.encode(DetectorCandidate(architecture=parts, settings=large, recipe=RECIPE))


def test_a_detector_without_a_mask_head_is_outside_a_space_of_those_that_segment() -> None:
    candidate = OPEN.decode(to_genotypes(OPEN, sample(OPEN, 1, np.random.default_rng(3)))[0])
    bare = candidate.replace(
        architecture=candidate.architecture.replace(mask=None),
        settings=candidate.settings.replace(mask=False),
    )
    with pytest.raises(SpecError, match="no mask head; the detectors of space fbnetv3od have one"):
        OPEN.encode(bare)


def test_a_space_cannot_skip_scores_of_epochs() -> None:
    with pytest.raises(SpecError, match="evaluate_every"):
        OPEN.replace(recipe={**OPEN.recipe, "evaluate_every": 2})


def test_no_genotypes_have_no_costs() -> None:
    assert len(OPEN.cost(sample(OPEN, 1, np.random.default_rng(0))[:0]).macs) == 0


def test_genotypes_come_back() -> None:
    for genotype in to_genotypes(OPEN, sample(OPEN, 20, np.random.default_rng(2))):
        assert OPEN.encode(OPEN.decode(genotype)) == pytest.approx(genotype)


def test_a_candidate_is_one_file(tmp_path: object) -> None:
    candidate = OPEN.decode(to_genotypes(OPEN, sample(OPEN, 1, np.random.default_rng(3)))[0]).on("squares")
    assert DetectorCandidate.from_yaml(candidate.to_yaml()) == candidate


def test_a_limit_that_no_detector_meets_says_the_smallest() -> None:
    with pytest.raises(InfeasibleError, match="no candidate meets macs <= 1000000: the smallest possible is"):
        feasible.sample(OPEN.segmenting(False), {"macs": 1e6}, 4, np.random.default_rng(0))


def test_a_space_of_classifiers_becomes_one_of_detectors() -> None:
    made = of_classifiers(classifiers("micro").replace(num_classes=3), OPEN, resolution=(64, 96))
    assert isinstance(made, DetectorSpace)
    recipe = ["optimizer", "lr", "weight_decay", "epochs", "ema", "ema_decay"]
    assert made.recipe_names == [f"recipe.{name}" for name in recipe]
    assert [row.name for row in made.box] == ["stage6"]
    matrix = sample(made, 8, np.random.default_rng(0))
    known = made.statistics(matrix)
    for at, genotype in enumerate(to_genotypes(made, matrix)):
        assert count(built(made.decode(genotype))).macs == known["macs"][at]


@pytest.mark.parametrize("changes", [{"sizes": {"low": 2, "high": 10**9}}, {"sizes": 90, "ratios": [1, 3]}])
def test_anchors_are_counted_before_they_are_made(changes: dict[str, object]) -> None:
    fields = yaml.safe_load(space("fbnetv3od").to_yaml()) | changes
    with pytest.raises(SpecError, match="anchors at a cell, more than 256"):
        DetectorSpace.from_yaml(yaml.safe_dump(fields))


def test_a_space_without_two_downsamplings_makes_no_detector() -> None:
    micro = classifiers("micro")
    flat = micro.replace(stages=micro.stages[:3])
    with pytest.raises(UsageError, match="needs networks with 2 downsamplings or more, space micro has 1"):
        of_classifiers(flat, OPEN, resolution=64)


def test_digits_are_not_mirrored_and_sizes_are_whole_steps() -> None:
    task = Detection(toys.squares(), torch.device("cpu"), "digit-scenes")
    assert task.suited(OPEN).fixed["recipe.flip"] == 0.0
    made = task.suited(classifiers("micro").replace(resolution={"low": 20, "high": 40, "step": 4}))
    assert all(side % 16 == 0 for side in made.sides)


def split(**changes: object) -> DetectorSpace:
    """The space whose trunk has the two rows of the last stage as a stage each, as some are published."""
    *stages, last = OPEN.trunk
    return OPEN.replace(trunk=(*stages, last[:1], last[1:]), **changes)


def test_genotypes_come_back_of_a_trunk_whose_stages_do_not_all_halve_the_map() -> None:
    searched = split(fpn=None)
    for genotype in to_genotypes(searched, sample(searched, 5, np.random.default_rng(2))):
        assert searched.encode(searched.decode(genotype)) == pytest.approx(genotype)


def test_a_pyramid_of_stages_that_do_not_all_halve_the_map_is_refused() -> None:
    """Its maps are told apart by their strides."""
    with pytest.raises(SpecError, match="needs a downsampling in every stage of the trunk after the first"):
        split(fpn=[None, 64])
