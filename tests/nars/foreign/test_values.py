"""Numbers and class names as other programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nars.errors import DataError
from nars.foreign.numbers import real, whole
from nars.foreign.values import class_name, numbered_names, read_yaml


@pytest.mark.parametrize("value", [1, 1.0, "1", " 1 ", "1.0", "1.000000", "1.000000000000000000e+00", "+1"])
def test_whole_numbers_in_any_dress(value: object) -> None:
    assert whole(value, "id") == 1


@pytest.mark.parametrize(
    "value",
    [1.5, "1.5", "one", "", None, True, [1], float("nan"), float("inf"), 10**400, "1_0", "0x1", "1,0"],
)
def test_other_values_are_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"^image_id "):
        whole(value, "image_id")


@pytest.mark.parametrize(("value", "number"), [("12.5", 12.5), (3, 3.0), (" 1e-3 ", 0.001), ("-2", -2.0)])
def test_real_numbers(value: object, number: float) -> None:
    assert real(value, "x") == number


@pytest.mark.parametrize(
    ("value", "words"),
    [("12,0", "point"), ("1_0", "'1_0'"), (None, "None"), (True, "True"), (10**400, "401")],
)
def test_what_is_no_number_is_named(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=f"xmin .*{words}"):
        real(value, "xmin")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [no, yes]", {0: "no", 1: "yes"}),
        ("names: {0: on, 1: off}", {0: "on", 1: "off"}),
        ("names:\n  '0': null\n  1: 010\n  2: 1e3\n  3: 2020-01-01\n", None),
        ("names: a, b", {0: "a", 1: "b"}),
    ],
)
def test_class_names_are_as_written(tmp_path: Path, text: str, names: dict[int, str] | None) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(text)
    expected = names or {0: "null", 1: "010", 2: "1e3", 3: "2020-01-01"}
    assert numbered_names(read_yaml(path)["names"], path) == expected


@pytest.mark.parametrize(
    "names", [{}, [], None, {"x": "a"}, {"-1": "a"}, [[]], ["  "], "", {"0": {"a": "b"}}]
)
def test_names_that_are_none_are_refused(names: object) -> None:
    with pytest.raises(DataError, match=r"d\.yaml: names must be"):
        numbered_names(names, Path("d.yaml"))


def test_names_of_json() -> None:
    assert [class_name(value) for value in (True, 1, 0.5, " a")] == ["true", "1", "0.5", " a"]


@pytest.mark.parametrize("key", ["names", "train"])
def test_aliases_that_multiply_are_refused_in_any_yaml(tmp_path: Path, key: str) -> None:
    text = "a0: &a0 [a, a, a, a, a, a, a, a, a, a]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    (tmp_path / "data.yaml").write_text(f"{text}{key}: *a8\n")
    with pytest.raises(DataError, match=r"data\.yaml: .* once its aliases are followed"):
        read_yaml(tmp_path / "data.yaml")


def test_a_hundred_thousand_names_are_read(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names:\n" + "".join(f"  {n}: c{n}\n" for n in range(100_000)))
    names = numbered_names(read_yaml(tmp_path / "data.yaml")["names"], tmp_path)
    assert len(names) == 100_000
    assert names[99_999] == "c99999"
