"""What is packed and what is said about it: the source distribution, pyproject.toml, CITATION.cff."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_source_distribution_holds_every_tracked_file() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs a git checkout")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    commands = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines()]
    grafted = {
        folder for command, *folders in filter(None, commands) if command == "graft" for folder in folders
    }
    included = {file for command, *files in filter(None, commands) if command == "include" for file in files}
    tracked = {*done.stdout.splitlines()} - {"MANIFEST.in"}
    assert tracked
    assert not {file for file in tracked if file not in included and file.split("/")[0] not in grafted}
    assert grafted | included <= tracked | {file.split("/")[0] for file in tracked}


def test_files_named_in_comments_exist() -> None:
    comments = re.findall(r"#(.*)", (ROOT / "pyproject.toml").read_text())
    named = re.findall(r"\b(?:nars|detector|search_spaces|tests|experiments)/[\w./]*", " ".join(comments))
    assert named
    assert not [path for path in named if not (ROOT / path.rstrip(".")).exists()]


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
