from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from studies import config, space

from nars.errors import SpecError, UsageError
from nars.foreign import limits
from nars.foreign.limits import check_inflated, check_table, load_yaml
from nars.runs.budget import Budget
from nars.spec import Architecture, Recipe

ROW = {"op": "conv", "channels": 8, "kernel": 3}


def test_the_limits_are_these() -> None:
    named = {name: getattr(limits, name) for name in limits.__all__ if name.startswith("MOST")}
    assert named == {
        "MOST_ANCHORS": 256,
        "MOST_BLOCKS": 2000,
        "MOST_BYTES": 2**31,
        "MOST_CELLS": 64,
        "MOST_CHANNELS": 2**14,
        "MOST_CHOICES": 1024,
        "MOST_CLASSES": 2**20,
        "MOST_COORDINATE": 1e5,
        "MOST_DOCUMENT": 2**26,
        "MOST_EPOCHS": 10**6,
        "MOST_EXPANSION": 64,
        "MOST_INFLATED": 2**30,
        "MOST_LINE": 2**26,
        "MOST_MAP": 2**28,
        "MOST_NOTE": 10_000,
        "MOST_NUMBER": 2**53,
        "MOST_PADDING": 64,
        "MOST_PARAMETERS": 2**29,
        "MOST_PIXELS": 2**28,
        "MOST_PROPOSALS": 10**5,
        "MOST_RECORDS": 10**6,
        "MOST_ROWS": 256,
        "MOST_SEED": 2**32 - 1,
        "MOST_SETTING": 1e6,
        "MOST_SIDE": 2**13,
        "MOST_TENSORS": 2**34,
        "MOST_VALUES": 10**6,
    }


def test_every_limit_is_kept_somewhere() -> None:
    root = Path(limits.__file__).parents[2]
    source = "".join(
        file.read_text()
        for package in ("nars", "detector")
        for file in (root / package).rglob("*.py")
        if file != Path(limits.__file__)
    )
    inside = Path(limits.__file__).read_text()
    for name in limits.__all__:
        assert name in source or inside.count(name) > 2, f"{name} is kept nowhere"


def test_a_table_may_not_grow_without_measure() -> None:
    check_table(10**6, 2**30, 100)
    check_table(2 * 10**6, 0, 10**7)
    for rows, stated in ((10**6 + 1, 0), (1, 2**31)):
        with pytest.raises(ValueError, match="more than is unpacked"):
            check_table(rows, stated, 1000)


def test_aliases_that_multiply_are_refused() -> None:
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    with pytest.raises(ValueError, match="once its aliases are followed"):
        load_yaml(text)
    assert load_yaml("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    "text", ["a: &x [*x]", "[" * 3000, "a: " + "9" * 5000, "a: 2020-99-99", "? [1]\n: 2", "\0", "a: b: c"]
)
def test_other_yaml_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        load_yaml(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(
    "text", ["[" * 70_000 + "]" * 70_000, "- " * 70_000 + "a", "{a: " * 40_000, "? " * 70_000]
)
def test_long_yaml_that_is_nested_deeply_is_refused(text: str, as_text: bool) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        load_yaml(text, as_text=as_text)


def test_an_archive_may_not_inflate_without_measure() -> None:
    entry = zipfile.ZipInfo("a")
    entry.file_size = 2**31
    with pytest.raises(ValueError, match="more than is unpacked"):
        check_inflated([entry], 1000)
    check_inflated([entry], 2**28)
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        check_inflated(archive.infolist(), 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"resolution": 2**13 + 1},
        {"resolution": 10**400},
        {"in_channels": 10**9},
        {"stages": [[ROW | {"repeats": 3000}]]},
        {"stages": [[ROW | {"repeats": 1500}], [ROW | {"repeats": 1500}]]},
        {"stages": [[ROW | {"channels": 10**9}]]},
        {"stages": [[ROW | {"channels": 16000, "repeats": 100}]]},
        {"stages": [[ROW | {"channels": 8000}]], "resolution": 4000},
    ],
)
def test_a_network_beyond_the_limits_is_no_architecture(changes: dict[str, object]) -> None:
    fields = {"resolution": 32, "stages": [[ROW]]}
    Architecture.of(fields)
    with pytest.raises(SpecError) as raised:
        Architecture.of(fields | changes)
    assert len(str(raised.value)) < 300
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["lr", "epochs", "batch_size", "weight_decay", "mixup", "clip_norm"])
@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf"), -1, "x\0", None, [1]])
def test_a_number_of_a_recipe_has_a_range(name: str, value: object) -> None:
    with pytest.raises(SpecError, match=f"recipe {name}"):
        Recipe.of({name: value})


@pytest.mark.parametrize("seed", [-1, 2**32, 10**400])
def test_a_seed_has_a_range(seed: int) -> None:
    with pytest.raises(SpecError, match="seed"):
        config(seed=seed)


@pytest.mark.parametrize("text", ["9" * 400, "1e9", "nan", "0", "-1", "١٢", "10000000000", "5 ep ep", ""])
def test_a_budget_has_a_range(text: str) -> None:
    with pytest.raises(UsageError):
        Budget.parse(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"resolution": {"low": 1, "high": 10**400}},
        {"resolution": list(range(1, 3000))},
        {"num_classes": 10**12},
        {"in_channels": 0},
    ],
)
def test_a_space_beyond_the_limits_is_none(changes: dict[str, object]) -> None:
    made = space()
    with pytest.raises(SpecError):
        type(made).of(made.model_dump() | changes)


@pytest.mark.parametrize("low", ["-" * 20_000, "a\nb" * 5000])
def test_a_value_of_any_length_makes_a_message_of_a_line(low: str) -> None:
    made = space()
    with pytest.raises(SpecError) as raised:
        type(made).of(made.model_dump() | {"resolution": {"low": low, "high": 40, "step": 4}})
    assert len(str(raised.value)) < 1000
    assert "\n" not in str(raised.value)
