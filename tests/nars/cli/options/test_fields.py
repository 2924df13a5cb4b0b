"""Options from the fields of a configuration: spelled, described and checked as the class says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import ConfigDict, Field

from nars.cli.commands import GroupedCommand
from nars.cli.options.fields import given, options_of
from nars.cli.options.values import AMOUNT
from nars.documents import Frozen


class Oven(Frozen):
    model_config = ConfigDict(use_attribute_docstrings=True)

    heat: Annotated[float, Field(gt=0, le=300)] = 180
    """Celsius; above `low_heat`."""
    low_heat: int = 50
    fan: bool = False
    """Whether air moves."""
    mode: Literal["top", "bottom"] = "top"
    racks: tuple[int, ...] = (1, 3)
    grids: tuple[tuple[float, ...], ...] = ((1, 2), (3,))
    trays: tuple[Path, ...] = ()
    weight: Annotated[float, Field(gt=0)] | None = None
    secret: str = "x"


@click.command(cls=GroupedCommand, groups={"Heat": ("low_heat", "heat"), "Rest": ("mode",)})
@options_of(Oven, skip=("secret",), parsers={"weight": AMOUNT}, flags={"mode": "--elements"})
def bake(**options: Any) -> None:
    click.echo(repr(given(Oven, options)))


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(bake, words)
    return done.exit_code, done.output


def test_only_what_is_given_is_given() -> None:
    assert run() == (0, "{}\n")
    code, shown = run("--no-fan", "--racks", "2,4", "--grids", "1;2,3.5", "--weight", "2k", "--heat", "7")
    assert code == 0
    assert shown == (
        "{'heat': 7.0, 'fan': False, 'racks': (2, 4), 'grids': ((1,), (2, 3.5)), 'weight': 2000.0}\n"
    )
    assert run("--elements", "bottom", "--trays", "a", "--trays", "b")[1] == (
        f"{{'mode': 'bottom', 'trays': {(Path('a'), Path('b'))!r}}}\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--heat", "301"), "'--heat': Input should be less than or equal to 300, got 301"),
        (("--heat", "warm"), "'--heat': 'warm' is not a valid float"),
        (("--low-heat", "1.5"), "'--low-heat': '1.5' is not a valid integer"),
        (("--elements", "botom"), "no mode 'botom': did you mean 'bottom'?"),
        (("--elements", "x"), "'x' is not one of 'top', 'bottom'"),
        (("--racks", "1,b"), "'1,b' is not a list of numbers such as 8,16,32"),
        (("--racks", "1,yes"), "'1,yes' is not a list of numbers"),
        (("--racks", "1,2.5"), "'--racks': Input should be a valid integer"),
        (("--grids", "1;["), "'[' is not a list of numbers"),
        (("--weight", "much"), "'much' is not a positive amount such as 60M or 400k"),
        (("--secret", "y"), "No such option"),
    ],
)
def test_a_mistake_names_its_option(words: tuple[str, ...], message: str) -> None:
    code, shown = run(*words)
    assert code == 2
    assert message in " ".join(shown.split())


def test_help_has_groups_docstrings_and_defaults() -> None:
    shown = run("--help")[1]
    assert "Celsius; above --low-heat.  [default: 180]" in shown
    assert "--fan / --no-fan" in shown
    assert "Whether air moves.  [default: off]" in shown
    assert "[default: 1,2;3]" in shown
    places = [
        shown.index(part) for part in ("Heat:", "--low-heat INTEGER", "--heat FLOAT", "Rest:", "--elements")
    ]
    assert places == sorted(places)
    assert shown.index("--help") > shown.index("--elements")  # in no group, and so at the end of the last
