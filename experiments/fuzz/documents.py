"""Kinds of YAML documents: networks, recipes, candidates and spaces, of classifiers and detectors."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

from experiments.fuzz import valid
from experiments.fuzz.hostile import as_yaml, damaged, enlarged, mutated, renumbered
from experiments.fuzz.judge import Case, Kind, command

__all__ = ["KINDS", "aliases", "written"]

_TAGS = (
    b"!!python/object/apply:os.system [touch /tmp/owned]",
    b"!!binary aGFsbG8=",
    b"!!timestamp 2020-99-99",
    b"!!set {a, b}",
    b"!!omap [a: 1]",
    b"0x" + b"f" * 9000,
    b"0b" + b"1" * 20_000,
    b"1_000:99:99",
    b"&a [*a]",
    b"*nowhere",
    b"{? {a: 1} : 2}",
    b"|\n" + b"a" * 10_000,
    b'"\\ud800"',
    b"\xff\xfe",
    b"~",
)
"""Values that YAML's own rules give another meaning."""


@cache
def aliases() -> bytes:
    """Nine lists, each with ten times the one before."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join(lines).encode()


_CHANGES = {"number": renumbered, "size": enlarged, "tree": mutated}
"""Changes of what a document says."""


@st.composite
def written(draw: st.DrawFn, document: str) -> bytes:
    """The YAML of a document with changes in its values, its text or its bytes."""
    change = draw(st.sampled_from([*["number"] * 3, "tree", "tree", "size", "tag", "alias", "none"]))
    tree = yaml.safe_load(document)
    content = as_yaml(draw(_CHANGES[change](tree))) if change in _CHANGES else document.encode()
    if change == "tag":
        lines = content.splitlines()
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = lines[at].partition(b":")[0] + b": " + draw(st.sampled_from(_TAGS))
        content = b"\n".join(lines)
    elif change == "alias":
        content += b"\n" + aliases()
    return draw(damaged(content))


@cache
def _networks() -> dict[str, str]:
    """Documents that `nars profile` takes."""
    from detector.space import spaces
    from nars.space import genotypes

    found = spaces.space("fbnetv3od").replace(num_classes=3)
    row = genotypes.sample(found, 1, np.random.default_rng(0))
    detector = found.decode(genotypes.to_genotypes(found, row)[0])
    return {
        "architecture": valid.architecture().to_yaml(),
        "candidate": valid.candidate().to_yaml(),
        "detector": detector.to_yaml(),
    }


@cache
def _spaces() -> dict[str, str]:
    import search_spaces
    from detector.space import spaces

    return {
        "classifier": search_spaces.space("micro").to_yaml(),
        "detector": spaces.space("fbnetv3od").to_yaml(),
    }


@st.composite
def _network(draw: st.DrawFn) -> Case:
    return {"a.yaml": draw(written(draw(st.sampled_from(list(_networks().values())))))}


@st.composite
def _recipe(draw: st.DrawFn) -> Case:
    return {"a.yaml": draw(written(valid.candidate().recipe.to_yaml()))}


@st.composite
def _space(draw: st.DrawFn) -> Case:
    what = draw(st.sampled_from(["classifier", "classifier", "detector"]))
    return {"a.yaml": draw(written(_spaces()[what])), "task": what.encode()}


def _profile(folder: Path) -> None:
    command("profile", folder / "a.yaml", "--classes", "3")


def _hold(folder: Path) -> None:
    """Hold a recipe in a search."""
    import search_spaces
    from nars.searching.catalogue import fixed

    fixed(search_spaces.space("micro"), [f"recipe={folder / 'a.yaml'}"])


def _sample(folder: Path) -> None:
    """Do what a search does with a space before it trains."""
    from nars.searching.catalogue import space_for
    from nars.space import genotypes

    task = {"classifier": "classification"}.get((folder / "task").read_text(), "detection")
    space: Any = space_for(task, str(folder / "a.yaml")).replace(num_classes=3)
    matrix = genotypes.sample(space, 4, np.random.default_rng(0))
    space.statistics(matrix)
    for genotype in genotypes.to_genotypes(space, matrix):
        space.decode(genotype)


KINDS = (
    Kind("network", _network(), _profile),
    Kind("recipe", _recipe(), _hold),
    Kind("space", _space(), _sample),
)
"""Documents that people write by hand and send to each other."""
