"""``nars search --dry-run``: what the limits leave, for people and for programs."""

from __future__ import annotations

import json

import pytest

from nars.cli import main


def test_what_the_limits_leave_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "search",
        "--data",
        "digits",
        "--space",
        "micro",
        "--max-params",
        "200k",
        "--dry-run",
        "--json",
    ]
    assert main(command) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["space"] == "micro"
    assert printed["limits"] == {"params": 200_000}
    assert 0 < printed["share"] < 1
    least, median, most = printed["quantiles"]["params"]
    assert least < median < most <= 200_000
    assert printed["parts"]
