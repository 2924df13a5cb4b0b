"""What README and the guides in docs/ show works as it is shown."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from nars.cli import COMMANDS
from nars.cli.commands import Table
from nars.space import Space

ROOT = Path(__file__).parents[1]

README = ROOT / "README.md"

GUIDES = sorted((ROOT / "docs").glob("*.md"))

PAGES = [README, *GUIDES]
"""The pages whose commands and blocks are checked."""

LINKING = sorted(
    file
    for pattern in ("*.md", "docs/*.md", "experiments/**/*.md", "nars/**/*.md")
    for file in ROOT.glob(pattern)
)
"""The pages whose links are checked."""

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""A block of code: its language and its lines."""

NARS = Table("nars", table=COMMANDS)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


pages = pytest.mark.parametrize("page", PAGES, ids=name)


def blocks(page: Path, *languages: str) -> list[str]:
    return [code for language, code in BLOCK.findall(page.read_text()) if language in languages]


def commands(page: Path) -> list[list[str]]:
    """The words after `nars` of each line that calls it, without comments and what follows a `>`."""
    lines = "".join(blocks(page, "", "sh")).replace("\\\n", " ").splitlines()
    called = re.compile(r"(?:\$ )?(?:torchrun .* -m )?nars (.+)")
    found = [shlex.split(match[1], comments=True) for line in lines if (match := called.match(line))]
    return [words[: words.index(">")] if ">" in words else words for words in found]


def parse(command: click.Command, words: list[str]) -> None:
    """Parse the words as the command line does, without running the command. Raises `click.UsageError`."""
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        _, found, words = command.resolve_command(click.Context(command), words)
        assert found is not None
        command = found
    command.make_context(command.name, words)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, where a test puts the files that a command reads."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(command: click.Command) -> Iterator[str]:
    """Every option of a command and of those below it."""
    yield from (name for param in command.params for name in (*param.opts, *param.secondary_opts))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            yield from options(below)


def anchors(page: Path) -> set[str]:
    """The anchors that a forge gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(((?!http)[^)]+)\)", BLOCK.sub("", page.read_text()))


@pages
def test_commands_are_parsed(page: Path, there: Path) -> None:
    for words in commands(page):
        for word in words:
            if word.endswith((".pt", ".safetensors", ".yaml")):
                (there / word).parent.mkdir(parents=True, exist_ok=True)
                (there / word).touch()
        try:
            parse(NARS, words)
        except click.UsageError as error:
            pytest.fail(f"{name(page)}: nars {shlex.join(words)}: {error.format_message()}")


@pages
def test_the_output_of_one_command_is_taken_by_another_of_its_kind(page: Path) -> None:
    """What a page writes with `nars spaces` is a space, which only `--space` takes."""
    text = "".join(blocks(page, "", "sh"))
    spaces = set(re.findall(r"^nars spaces [^\n>]*> (\S+)", text, re.MULTILINE))
    for words in commands(page):
        for place, word in enumerate(words):
            if word in spaces:
                assert words[place - 1] == "--space" or words[0] == "spaces", f"{name(page)}: {words}"


def test_pages_show_commands_of_every_kind() -> None:
    shown = {words[0] for page in PAGES for words in commands(page)}
    assert shown == COMMANDS.keys()


@pages
def test_options_and_commands_in_the_text_exist(page: Path) -> None:
    spans = re.findall(r"`([^`]+)`", BLOCK.sub("", page.read_text()))
    ours = [span for span in spans if re.match(r"nars |--", span)]
    words = {span.split()[1] for span in ours if span.startswith("nars ")}
    named = {name for span in ours for name in re.findall(r"--[a-z][\w-]*", span)}
    assert words <= COMMANDS.keys()
    assert named <= {*options(NARS), "--help"}


@pytest.mark.parametrize("page", LINKING, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{name(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name(page)}: {link}"


def test_readme_leads_to_every_guide() -> None:
    assert len(GUIDES) > 5
    assert {name(guide) for guide in GUIDES} <= {*links(README)}


@pages
def test_yaml_is_valid(page: Path) -> None:
    for text in blocks(page, "yaml"):
        assert yaml.safe_load(text)["kind"] == "space", f"{name(page)}: a kind that this test does not read"
        space = Space.from_yaml(text, name(page))
        assert space.distributions.keys() >= {"resolution", "body.kernel", "body.expansion.rest", "recipe.lr"}


@pages
def test_python_is_python(page: Path) -> None:
    for code in blocks(page, "python"):
        ast.parse(code)


def test_there_are_blocks_of_every_language() -> None:
    languages = {language for page in PAGES for language, _ in BLOCK.findall(page.read_text())}
    assert languages == {"", "sh", "yaml", "python"}


def test_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (table,) = re.findall(r"^\| extra \|.*?\n\n", README.read_text(), re.DOTALL | re.MULTILINE)
    listed = re.findall(r"`([\w-]+)`", "".join(row.split("|")[1] for row in table.splitlines() if row))
    assert sorted(listed) == sorted(project["optional-dependencies"])
    installed = {
        name
        for page in PAGES
        for names in re.findall(r"'\.\[([\w,-]+)\]'", page.read_text())
        for name in names.split(",")
    }
    assert installed <= {*listed}
