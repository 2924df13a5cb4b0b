"""Descriptions refuse to exist in a wrong state and survive the way to a file and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from nars.errors import SpecError
from nars.spec import Architecture, Block, Candidate, Recipe, read

ARCHITECTURE = Architecture(
    name="small",
    resolution=32,
    stages=[
        [{"op": "conv", "kernel": 3, "channels": 16, "stride": 2}],
        [
            {"op": "mbconv", "kernel": 5, "channels": 24, "stride": 2, "expansion": 4, "padding": 1},
            {"op": "mbconv", "kernel": 3, "channels": 24, "repeats": 2, "expansion": 2.5, "se": "hsigmoid"},
        ],
        [{"op": "mbpool", "channels": 128, "expansion": 6}],
    ],
)
RECIPE = Recipe(optimizer="adamw", lr=1e-3, epochs=7, ema=True, mixup=0.2)
DOCUMENTS = [ARCHITECTURE, RECIPE, Candidate(architecture=ARCHITECTURE, recipe=RECIPE)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.kind)
def test_yaml_round_trip_is_identical(document: Architecture | Recipe | Candidate, tmp_path: Path) -> None:
    text = document.to_yaml()
    again = type(document).from_yaml(text)
    assert again == document
    assert again.to_yaml() == text
    assert f"{document}\n" == text  # as print shows it
    path = tmp_path / "document.yaml"
    path.write_text(text)
    assert read(path) == document


def test_a_candidate_names_its_data_only_if_it_has_some() -> None:
    bare = DOCUMENTS[2]
    assert "data" not in bare.to_yaml()
    assert Candidate.from_yaml(bare.to_yaml()).data is None  # as in every file of version 0.1
    named = bare.replace(data="photos/")
    assert "data: photos/\n" in named.to_yaml()
    assert Candidate.from_yaml(named.to_yaml()) == named


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lrr": 0.1}, "unknown key 'lrr' of recipe: did you mean 'lr'?"),
        ({"lr": 0}, "recipe lr: Input should be greater than 0, got 0"),
        ({"lr": float("nan")}, "recipe lr: Input should be a finite number, got nan"),
        ({"dropout": 1.0}, "recipe dropout: Input should be less than 1, got 1.0"),
        ({"crop_area": 0}, "recipe crop_area: Input should be greater than 0, got 0"),
        ({"magnitude": 31}, "recipe magnitude: Input should be less than or equal to 30, got 31"),
        ({"frozen": 1.5}, "recipe frozen: Input should be less than or equal to 1, got 1.5"),
        (
            {"policy": "auto"},
            "recipe policy: Input should be 'none', 'trivial_augment' or 'rand_augment', got 'auto'",
        ),
        ({"optimizer": "lion"}, "recipe optimizer: Input should be 'sgd', 'rmsprop' or 'adamw', got 'lion'"),
    ],
)
def test_recipe_names_the_broken_rule(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Recipe(**fields)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"op": "mbconv", "kernel": 3, "channels": 8}, "mbconv needs expansion"),
        ({"op": "conv", "kernel": 3, "channels": 8, "expansion": 2}, "conv has no expansion"),
        ({"op": "conv", "kernel": 3, "channels": 8, "se": "sigmoid"}, "neither se nor stride -2"),
        ({"op": "conv", "kernel": 4, "channels": 8}, "kernel: Input should be 1, 3, 5 or 7, got 4"),
        ({"op": "mbpool", "channels": 8, "expansion": 2, "repeats": 2}, "mbpool stands alone"),
        ({"op": "conv", "kernl": 3, "channels": 8}, "unknown key 'kernl' of block: did you mean 'kernel'?"),
    ],
)
def test_block_names_the_broken_rule(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match="block") as caught:
        Block(**fields)
    assert message in str(caught.value)


def test_a_broken_block_is_named_through_the_architecture() -> None:
    text = ARCHITECTURE.to_yaml().replace("kernel: 5", "kernl: 5")
    with pytest.raises(SpecError, match=r"my\.yaml: architecture stages\.1\.0: unknown key 'kernl' of block"):
        Architecture.from_yaml(text, "my.yaml")


def test_mbpool_only_ends_a_network() -> None:
    rows = [[{"op": "mbpool", "channels": 8, "expansion": 2}], [{"op": "conv", "kernel": 1, "channels": 8}]]
    with pytest.raises(SpecError, match="mbpool may only be the last row"):
        Architecture(resolution=32, stages=rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: recipe\nschema: 1\n", "kind is 'recipe', expected 'architecture'"),
        ("kind: architecture\nschema: 99\n", "schema is 99, this version reads 1"),
        ("[1, 2", "not YAML"),
        ("- 1\n", "expected a mapping"),
        ("!!python/object/apply:os.system [true]\n", "not YAML"),
    ],
)
def test_foreign_files_are_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Architecture.from_yaml(text)


def test_missing_file_is_one_line() -> None:
    with pytest.raises(SpecError, match=r"cannot read nowhere\.yaml: No such file or directory"):
        read("nowhere.yaml")


@pytest.mark.parametrize(("head", "what"), [("", "is missing"), ("kind: 3\n", "is no name")])
def test_a_file_says_what_kind_it_is(head: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text(f"{head}schema: 1\nepochs: 1\n")
    with pytest.raises(SpecError, match=f"some.yaml: kind {what}; valid: architecture, recipe, candidate"):
        read(tmp_path / "some.yaml")


def test_blocks_are_listed_one_by_one() -> None:
    listed = [(stage, channels, row.stride, row.channels) for stage, channels, row in ARCHITECTURE.blocks()]
    assert listed == [(0, 3, 2, 16), (1, 16, 2, 24), (1, 24, 1, 24), (1, 24, 1, 24), (2, 24, 1, 128)]


def test_values_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RECIPE.lr = 1.0


LATER = Architecture(
    name="later",
    resolution=32,
    norm_eps=1e-3,
    norm_momentum=0.01,
    stages=[
        [Block(op="conv", kernel=3, channels=16, stride=2, padding="same", bias=False, activation="relu6")],
        [Block(op="mbconv", kernel=5, channels=24, stride=2, expansion=4, padding="same", repeats=2)],
        [Block(op="conv", kernel=1, channels=128, bias=False)],
    ],
)


def test_later_fields_are_written_only_if_they_say_something() -> None:
    text = LATER.to_yaml()
    assert Architecture.from_yaml(text) == LATER
    assert "norm_eps: 0.001" in text
    assert text.count("bias: false") == 2
    plain, dumped = ARCHITECTURE.to_yaml(), ARCHITECTURE.model_dump()
    for name in ("norm_eps", "norm_momentum", "bias"):
        assert name not in plain
        assert name not in str(dumped)  # so that what older versions made from a dump stays the same
    assert Architecture(**dumped) == ARCHITECTURE
    assert Architecture(**LATER.model_dump()) == LATER


def test_only_a_conv_can_lack_a_bias() -> None:
    with pytest.raises(SpecError, match="only a conv has a bias to leave out, mbconv has none"):
        Block(op="mbconv", kernel=3, channels=8, expansion=2, bias=False)


def test_the_head_of_a_classifier_is_no_spatial_stage() -> None:
    assert LATER.spatial_stages() == [list(stage) for stage in LATER.stages[:2]]
    assert ARCHITECTURE.spatial_stages() == [list(stage) for stage in ARCHITECTURE.stages[:2]]
    alone = LATER.replace(stages=LATER.stages[2:])
    assert len(alone.spatial_stages()) == 1


def test_a_recipe_with_the_fields_of_before_is_written_as_before() -> None:
    dumped = Recipe().model_dump()
    assert list(dumped)[-1] == "augmentation"  # the last field of version 0.1
    assert Recipe.later_fields == tuple(Recipe.model_fields)[len(dumped) :]
    later = Recipe(crop_area=0.5, frozen=0.25)
    assert Recipe.from_yaml(later.to_yaml()) == Recipe(**later.model_dump()) == later


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("space", "is a search space: `nars search --space .*mine.yaml` takes it; expected here: .*RUN/best"),
        (
            "detector_space",
            "is a search space of detectors: `nars search --task detection --space .*yaml` takes",
        ),
        ("detector_candidate", "is a detector: `nars detect train .*mine.yaml` takes it; expected here"),
    ],
)
def test_a_file_of_another_command_leads_there(kind: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"kind: {kind}\nschema: 1\n")
    with pytest.raises(SpecError, match=message):
        read(path)
