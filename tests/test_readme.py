"""What the README shows works as it stands."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from nars.cli import COMMANDS
from nars.space import Space

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_space_of_the_readme_is_valid() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    space = Space.from_yaml(text, "README.md")
    assert space.distributions.keys() >= {"resolution", "body.kernel", "body.expansion.rest", "recipe.lr"}


def test_commands_exist() -> None:
    words = set(re.findall(r"^nars ([a-z-]+)", README, re.MULTILINE))
    assert words
    assert words <= COMMANDS.keys()


def test_files_of_the_reading_path_exist() -> None:
    links = re.findall(r"\]\(((?!http|#)[^)]+)\)", README)
    assert links
    missing = [link for link in links if not (Path(__file__).parents[1] / link).exists()]
    assert not missing


def test_python_is_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for code in blocks:
        ast.parse(code)
