"""The format of a file that a command writes is the one that its name ends in."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from nars.cli.options.formats import ENDINGS, NETWORK_FORMATS, format_of
from nars.networks.export import FORMATS
from nars.networks.formats import RUNS


def test_every_format_of_a_network_has_an_ending() -> None:
    assert NETWORK_FORMATS == FORMATS == tuple(RUNS)
    assert ENDINGS.keys() >= set(NETWORK_FORMATS)


@pytest.mark.parametrize(
    ("output", "given", "form"),
    [
        ("a.onnx", None, "onnx"),
        ("a.pt2", None, "pt2"),
        ("a.TS", None, "torchscript"),
        ("a.torchscript", "torchscript", "torchscript"),
        ("a", None, "onnx"),
        ("a", "pt2", "pt2"),
        ("run-0.5", "pt2", "pt2"),  # a number is no ending
        (None, None, "onnx"),
    ],
)
def test_the_format_follows_the_ending(output: str | None, given: str | None, form: str) -> None:
    assert format_of(None if output is None else Path(output), given, NETWORK_FORMATS) == form


@pytest.mark.parametrize(
    ("output", "given", "message"),
    [
        ("a.xyz", None, "-o a.xyz: a file ends in .onnx or .pt2 or .torchscript or .ts"),
        ("a.yaml", "onnx", "-o a.yaml: a file ends in .onnx or .pt2 or .torchscript or .ts"),
        ("a.pt", None, "-o a.pt: a file ends in .onnx or .pt2 or .torchscript or .ts"),
        ("a.pt2", "onnx", "-o a.pt2: a file of --format onnx ends in .onnx"),
    ],
)
def test_another_ending_is_refused(output: str, given: str | None, message: str) -> None:
    with pytest.raises(click.UsageError) as error:
        format_of(Path(output), given, NETWORK_FORMATS)
    assert error.value.message == message
