"""Contract of every space: decode, encode, restrict, and refuse."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from optuna.distributions import IntDistribution

from nars.errors import SpecError, UsageError
from nars.space import Space, genotypes
from nars.space.batch_cost import CHUNK
from nars.space.cost import count
from nars.spec import Candidate, Recipe
from search_spaces import published
from search_spaces.spaces import space, space_names

NAMES = ["fbnetv3", "micro", "mobile", "tiny"]


def test_built_in_spaces() -> None:
    assert space_names() == NAMES
    with pytest.raises(UsageError, match="did you mean 'micro'"):
        space("mirco")


@pytest.mark.parametrize("name", NAMES)
def test_file_round_trip(name: str) -> None:
    found = space(name)
    again = Space.from_yaml(found.to_yaml())
    assert again == found
    assert again.fingerprint == found.fingerprint


@pytest.mark.parametrize("name", NAMES)
def test_decode_and_encode_are_inverse(name: str) -> None:
    found = space(name)
    matrix = genotypes.sample(found, 50, np.random.default_rng(0))
    for row, genotype in zip(matrix, genotypes.to_genotypes(found, matrix), strict=True):
        candidate = found.decode(genotype)
        encoded = genotypes.from_genotypes(found, [found.encode(candidate)])
        np.testing.assert_allclose(found.canonical(encoded)[0], row)


@pytest.mark.parametrize("name", NAMES)
def test_batched_cost_equals_that_of_each(name: str) -> None:
    found = space(name).replace(num_classes=10)
    matrix = genotypes.sample(found, 100, np.random.default_rng(1))
    batch = found.cost(matrix)
    for index, genotype in enumerate(genotypes.to_genotypes(found, matrix)):
        one = count(found.decode(genotype).architecture, num_classes=10)
        assert (one.macs, one.params) == (batch.macs[index], batch.params[index])
        assert one.published_flops == batch.published_flops[index]
        assert one.published_params == batch.published_params[index]


@pytest.mark.parametrize("name", NAMES)
def test_cost_of_any_number_of_genotypes(name: str) -> None:
    found = space(name)
    many = genotypes.sample(found, CHUNK + 5, np.random.default_rng(3))
    whole = found.cost(many)
    for part in (slice(0), slice(1), slice(CHUNK - 2, CHUNK + 2)):
        np.testing.assert_array_equal(found.cost(many[part]).macs, whole.macs[part])
        np.testing.assert_array_equal(found.cost(many[part]).params, whole.params[part])


def test_a_space_that_was_counted_is_equal_to_one_that_was_not() -> None:
    found, other = space("micro"), space("micro")
    found.cost(genotypes.sample(found, 2, np.random.default_rng(0)))
    assert found == other
    other.cost(genotypes.sample(other, 2, np.random.default_rng(0)))
    assert found == other
    assert pickle.loads(pickle.dumps(found)) == found


def macs_of_a_sample(name: str) -> NDArray[np.int64]:
    found = space(name).replace(num_classes=10)
    return found.cost(genotypes.sample(found, 10_000, np.random.default_rng(2))).macs


def test_micro_costs_what_it_promises() -> None:
    macs = macs_of_a_sample("micro")
    assert np.quantile(macs, 0.01) > 0.5e6
    assert macs.max() < 20e6


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 1e6, 30e6), ("mobile", 20e6, 300e6)])
def test_tiny_and_mobile_cost_what_they_promise(name: str, low: float, high: float) -> None:
    """Nearly all candidates are within the range, and those at its ends are near the ends."""
    least, few, many, most = np.quantile(macs_of_a_sample(name), [0.005, 0.05, 0.95, 0.995])
    assert 0.7 * low < least < few < 2 * low
    assert 0.6 * high < many < most < 1.1 * high


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 32, 128), ("mobile", 96, 224)])
def test_tiny_and_mobile_take_photos_and_short_trainings(name: str, low: int, high: int) -> None:
    distributions = space(name).distributions
    for dimension, ends in {"resolution": (low, high), "recipe.epochs": (5, 60)}.items():
        distribution = distributions[dimension]
        assert isinstance(distribution, IntDistribution)
        assert (distribution.low, distribution.high) == ends


def test_tiny_may_have_one_channel() -> None:
    grey = space("tiny").replace(in_channels=1)
    assert grey.decode(genotypes.to_genotypes(grey, _first(grey))[0]).architecture.in_channels == 1


@pytest.mark.parametrize(
    ("name", "contained"),
    [("mobile", "fbnetv3_a0"), *(("fbnetv3", f"fbnetv3_{letter}") for letter in "abcdefg")],
)
def test_spaces_contain_published_networks(name: str, contained: str) -> None:
    found, network = space(name), published(contained)
    recipe = found.decode(genotypes.to_genotypes(found, _first(found))[0]).recipe
    genotype = found.encode(Candidate(architecture=network, recipe=recipe))
    decoded = found.decode(genotype).architecture
    assert list(decoded.blocks()) == list(network.blocks())
    assert (decoded.resolution, decoded.in_channels) == (network.resolution, network.in_channels)


@pytest.mark.parametrize("name", NAMES)
def test_restrictions_hold_their_part(name: str) -> None:
    found = space(name)
    candidate = found.decode(genotypes.to_genotypes(found, _first(found))[0])
    recipe_only = found.fix(architecture=candidate.architecture)
    assert list(recipe_only.distributions) == found.recipe_names
    architecture_only = found.fix(recipe=candidate.recipe)
    assert list(architecture_only.distributions) == found.architecture_names
    for part in (recipe_only, architecture_only):
        again = part.decode(genotypes.to_genotypes(part, _first(part))[0])
        assert list(again.architecture.blocks()) == list(candidate.architecture.blocks())
        assert again.recipe == candidate.recipe


def test_encode_names_what_is_outside() -> None:
    found = space("micro")
    candidate = found.decode(genotypes.to_genotypes(found, _first(found))[0])
    outside = candidate.replace(recipe=candidate.recipe.replace(mixup=0.9))
    with pytest.raises(SpecError, match=r"recipe\.mixup = 0\.9 is outside space micro"):
        found.encode(outside)
    with pytest.raises(SpecError, match="stage 0 of the architecture is outside"):
        found.encode(Candidate(architecture=published("fbnetv3_a"), recipe=Recipe()))


MICRO = space("micro").to_yaml()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stride: 2", "strid: 2", "unknown key 'strid' of rowspace: did you mean 'stride'"),
        ("low: 8, high: 16", "low: 8, hihg: 16", "unknown key 'hihg' of range: did you mean 'high'"),
        ("low: 8, high: 16", "low: 18, high: 16", "low is above high: 18 > 16"),
        ("low: 8, high: 16, step: 4", "low: 8, high: 16, step: 3", "step 3 does not lead from 8 to 16"),
        ("  mixup:", "  mixupp:", "unknown key 'mixupp' of recipe: did you mean 'mixup'"),
        ("[none, hsigmoid]", "[none, sigmoit]", "stage3.se = 'sigmoit'"),
        ("name: stage1", "name: stem", "row names repeat"),
    ],
)
def test_a_wrong_file_names_the_rule(old: str, new: str, message: str) -> None:
    text = MICRO.replace(old, new, 1)
    assert text != MICRO
    with pytest.raises(SpecError) as caught:
        Space.from_yaml(text, "my.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("my.yaml: ")


def test_equal_candidates_have_equal_canonical_rows() -> None:
    found = space("micro")
    matrix = genotypes.sample(found, 1, np.random.default_rng(3))
    genotype = genotypes.to_genotypes(found, matrix)[0]
    off = genotype | {"recipe.ema": False, "stage2.depth": 1}
    other = off | {"recipe.ema_decay": 0.99, "stage2.kernel.rest": 5}
    rows = found.canonical(genotypes.from_genotypes(found, [off, other]))
    np.testing.assert_array_equal(rows[0], rows[1])


def _first(found: Space) -> genotypes.Matrix:
    return found.dimensions.from_unit(np.zeros((1, len(found.distributions))))


def test_a_space_fixes_norms_biases_and_same_padding() -> None:
    open_space = Space(
        name="same",
        resolution=[31, 32],
        norm_eps=1e-3,
        norm_momentum=0.01,
        num_classes=5,
        stages=[
            [{"name": "stem", "op": "conv", "kernel": 3, "channels": 8, "stride": 2, "bias": False}],
            [
                {
                    "name": "body",
                    "op": "mbconv",
                    "kernel": [3, 5],
                    "expansion": 2,
                    "channels": [8, 16],
                    "depth": [1, 2],
                    "stride": 2,
                    "padding": [0, "same"],
                    "activation": "relu6",
                }
            ],
        ],
    )
    assert Space.from_yaml(open_space.to_yaml()) == open_space
    matrix = genotypes.sample(open_space, 40, np.random.default_rng(0))
    batch = open_space.cost(matrix)
    for index, genotype in enumerate(genotypes.to_genotypes(open_space, matrix)):
        architecture = open_space.decode(genotype).architecture
        assert (architecture.norm_eps, architecture.norm_momentum) == (1e-3, 0.01)
        assert architecture.stages[0][0].bias is False
        assert open_space.encode(Candidate(architecture=architecture)) == genotype
        assert count(architecture, num_classes=5).macs == batch.macs[index]
        assert count(architecture, num_classes=5).params == batch.params[index]
    held = open_space.fix(architecture=architecture)
    assert held.decode({}).architecture.stages == architecture.stages
    with pytest.raises(SpecError, match=r"norm_eps = 1e-05 is outside space same"):
        open_space.encode(Candidate(architecture=architecture.replace(norm_eps=1e-5)))


def _open_recipe(**recipe: Any) -> Space:
    stages = [
        [{"name": f"stage{n}", "op": "conv", "kernel": 3, "channels": 8 if n else [8, 16]}] for n in range(4)
    ]
    return Space(name="recipes", resolution=16, stages=stages, recipe=recipe)


@pytest.mark.parametrize(
    ("recipe", "one", "other"),
    [
        (
            {"policy": ["none", "trivial_augment", "rand_augment"], "magnitude": {"low": 3, "high": 9}},
            {"policy": "trivial_augment", "magnitude": 4},
            {"policy": "trivial_augment", "magnitude": 8},
        ),
        (
            {"policy": "none", "magnitude": {"low": 3, "high": 9}},
            {"magnitude": 4},
            {"magnitude": 8},
        ),
        (
            {"balanced_sampling": [False, True], "class_weights": ["none", "balanced"]},
            {"balanced_sampling": True, "class_weights": "none"},
            {"balanced_sampling": True, "class_weights": "balanced"},
        ),
        ({"frozen": [0.0, 0.3, 0.4, 0.5]}, {"frozen": 0.3}, {"frozen": 0.4}),
        ({"frozen": {"low": 0.0, "high": 0.9, "step": 0.1}}, {"frozen": 0.5}, {"frozen": 0.7}),
        ({"frozen": {"low": 0.1, "high": 0.9}}, {"frozen": 0.26}, {"frozen": 0.49}),
        ({"frozen": {"low": 0.1, "high": 0.9}}, {"frozen": 0.1}, {"frozen": 0.2}),
        (
            {"frozen": [0.5, 1.0], "layer_decay": {"low": 0.5, "high": 1.0}},
            {"frozen": 1.0, "layer_decay": 0.6},
            {"frozen": 1.0, "layer_decay": 0.9},
        ),
        (
            {"distill": [0.0, 0.5], "distill_temperature": {"low": 1.0, "high": 4.0}},
            {"distill": 0.0, "distill_temperature": 2.0},
            {"distill": 0.0, "distill_temperature": 3.0},
        ),
        ({"ema_decay": [0.9, 0.99]}, {"ema_decay": 0.9}, {"ema_decay": 0.99}),
    ],
)
def test_recipes_of_the_same_training_are_one(
    recipe: dict[str, Any], one: dict[str, Any], other: dict[str, Any]
) -> None:
    found = _open_recipe(**recipe)
    pair = [
        {"stage0.channels": 8} | {f"recipe.{name}": value for name, value in fields.items()}
        for fields in (one, other)
    ]
    rows = found.canonical(genotypes.from_genotypes(found, pair))
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(found.canonical(rows), rows)
    trained = [found.decode(genotype).recipe for genotype in genotypes.to_genotypes(found, rows)]
    before = found.decode(pair[0]).recipe
    assert trained[0].frozen_stages(4) == before.frozen_stages(4)
    assert trained[0].policy == before.policy


def test_a_share_of_frozen_stages_stays_in_its_range() -> None:
    found = _open_recipe(frozen={"low": 0.0, "high": 0.3, "step": 0.1})
    assert genotypes.sample(found, 64, np.random.default_rng(0))[:, -1].max() == 0.3


def test_canonical_recipes_differ_where_trainings_do() -> None:
    found = _open_recipe(frozen={"low": 0.0, "high": 1.0}, policy=["none", "rand_augment"], magnitude=[3, 6])
    matrix = genotypes.sample(found, 500, np.random.default_rng(0))
    assert len(np.unique(matrix, axis=0)) == 2 * 4 * (1 + 2)  # channels, shares, policies
    shares = genotypes.numbers(found, matrix, "recipe.frozen")
    assert set(shares) == {0.0, 0.25, 0.5, 0.75}


def test_numbers_that_yaml_takes_for_text_are_numbers() -> None:
    micro = space("micro")
    content = micro.model_dump(mode="json")
    content["recipe"] = content["recipe"] | {"lr": ["1e-2", "1E-1"], "epochs": ["3", 4]}
    made = Space(**content)
    assert made.recipe["lr"] == (0.01, 0.1)
    assert made.recipe["epochs"] == (3, 4)
    content["recipe"]["lr"] = ["1e-2", "fast"]
    with pytest.raises(SpecError, match=r"recipe\.lr has 'fast', which is not a number"):
        Space(**content)
