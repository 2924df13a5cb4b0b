"""A command that reads data says one line about each part, and its JSON has the same facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import folders
import pytest

from nars.cli import main
from nars.searching import proxy
from nars.spec import Architecture, Block, Candidate, Recipe

CANDIDATE = Candidate(
    architecture=Architecture(
        name="small",
        resolution=8,
        stages=[
            [Block(op="conv", channels=8, kernel=3)],
            [Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2)],
        ],
    ),
    recipe=Recipe(epochs=1),
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder, with pictures in class folders, files to be passed over, boxes and a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "cache"))
    for name in ("cup", "spoon"):
        for number in range(8):
            folders.picture(Path("photos", "Training", name, f"{number}.png"), 8, 8, len(name) + 10 * number)
    Path("photos", "Training", "cup", "notes.txt").write_text("x")
    Path("photos", ".DS_Store").write_text("x")
    folders.coco(Path("boxes"))
    Path("small.yaml").write_text(CANDIDATE.to_yaml())


class Checked:
    """The result of a comparison that was not made."""

    def to_dict(self) -> dict[str, Any]:
        return {"verdict": "none"}


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (
            "data --data photos",
            "train: 8 images, 2 classes (cup, spoon); class folders by split; Training taken",
        ),
        ("data check boxes", "train: 4 images, 8 boxes, 2 classes"),
        ("train small.yaml --data photos --init none -o made", "train: 8 images"),
        ("proxy-check --data photos --space micro --init none", "train: 8 images"),
    ],
)
def test_the_terminal_and_the_json_say_the_same_of_each_part(
    command: str, first: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "proxy_check", lambda *_, **__: Checked())
    assert main(command.split()) == 0
    captured = capsys.readouterr()
    shown = (captured.out + captured.err).splitlines()
    said = [line for line in shown if line.startswith(("train: ", "val: ", "test: "))]
    assert said[0].startswith(first), said
    assert main([*command.split(), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["parts"]
    assert folders.part_lines(rows) == said
    assert [row["part"] for row in rows] == (
        ["train", "val"] if "boxes" in command else ["train", "val", "test"]
    )


def test_what_is_measured_is_said_likewise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "small.yaml", "--data", "photos", "--init", "none", "-o", "made.pt"]) == 0
    said = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith(("train: ", "val: ", "test: "))
    ]
    assert main(["evaluate", "made.pt", "--data", "photos", "--json"]) == 0
    assert folders.part_lines(json.loads(capsys.readouterr().out)["parts"]) == said
    assert "passed over: 1 .txt" in said[0]
