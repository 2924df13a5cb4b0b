"""Hypothesis strategies: values nobody expects, trees with a few of them, and damaged bytes."""

from __future__ import annotations

import copy
import json
import math
import re
from typing import Any

import yaml
from hypothesis import strategies as st

__all__ = [
    "ELSEWHERE",
    "NO_NAMES",
    "OUTSIDE",
    "as_json",
    "as_yaml",
    "damaged",
    "enlarged",
    "hostile",
    "mutated",
    "renumbered",
    "spelled",
]

OUTSIDE = "@OUTSIDE@"
"""Stands for the absolute path of a folder that no reader may use."""

ELSEWHERE = (
    "../../../outside/secret.png",
    f"{OUTSIDE}/secret.png",
    "../../outside/secret.png",
    "/etc/passwd",
)
"""Names of files outside of a data set, seen from its parts or from itself."""

NO_NAMES = ("a" * 300, "a" * 3000, "a/" * 3000, "a\0b", "-" * 2000)
"""Names that no file can have."""

_NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 7, 1000, 10**6, 10**9, 2**31, 2**32, 2**63, 2**64, 10**400, -(10**400)),
    *(math.nan, math.inf, -math.inf, 5e-324, 1e-300, 1e308, -1e308, 0.5, -0.0, 1.5, 1e18),
)

_TEXTS = (
    *("", " ", "nan", "inf", "-1", "1e400", "0x10", "١٢", "no", "null", "a\0b", "\0", "\ud800", "\udfff.png"),
    *("../../../../outside/secret.png", "../secret.png", "../../outside", f"{OUTSIDE}/secret.png", OUTSIDE),
    *(
        "/etc/passwd",
        "/dev/zero",
        "/dev/stdin",
        "~/x",
        "a" * 300,
        "a" * 70_000,
        "-" * 20_000,
        "[red]x[/red]",
        "[/]",
        "🦊",
    ),
    *("\x1b[2J", "a\nb", "a\r", "\u202e", "..", ".", "/", "\\\\server\\x", "C:\\x.png", "%s%n", "{0}"),
    *("s3://bucket/x", "sqlite:////tmp/x.db", "!!python/object:os.system", "9" * 400, "1" * 5000),
)


_DEEP = "@DEEP{}@"
"""Stands for lists inside of each other, which Python's own functions cannot handle."""

_DEPTHS = re.compile(rb"""["']?@DEEP(\d+)@["']?""")


def spelled(content: bytes, outside: str) -> bytes:
    """The content of a file with what `hostile` has only marks for: a folder outside and deep lists."""
    content = content.replace(OUTSIDE.encode(), outside.encode())
    return _DEPTHS.sub(lambda found: b"[" * int(found[1]) + b"]" * int(found[1]), content)


hostile = st.one_of(
    st.sampled_from(_NUMBERS),
    st.sampled_from(_TEXTS),
    st.sampled_from(
        [
            None,
            True,
            False,
            [],
            {},
            [[]],
            {"": None},
            [None],
            [1, 2, 3, 4],
            *map(_DEEP.format, (90, 900, 50_000, 70_000)),
        ]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.recursive(
        st.none() | st.integers(-3, 3) | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)
    ),
)
"""Any value that a file may hold in the place of another."""


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container of a tree with each of its keys."""
    places: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            places.append((node, key))
            waiting.append(value)
    return places


@st.composite
def mutated(draw: st.DrawFn, tree: Any, most: int = 3) -> Any:
    """The tree with up to `most` changes: a value replaced, left out, repeated or exchanged, a key added."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, most))):
        places = _places(tree)
        if not places:
            return tree
        node, key = places[draw(st.integers(0, len(places) - 1))]
        change = draw(st.sampled_from(["replace", "replace", "replace", "remove", "repeat", "swap", "add"]))
        if change == "replace":
            node[key] = copy.deepcopy(draw(hostile))
        elif change == "remove":
            del node[key]
        elif change == "repeat" and isinstance(node, list):
            node.extend(copy.deepcopy(node[key]) for _ in range(draw(st.sampled_from([1, 3, 100]))))
        elif change == "swap":
            other, far = places[draw(st.integers(0, len(places) - 1))]
            node[key] = copy.deepcopy(other[far])
        elif isinstance(node, dict):
            node[draw(st.one_of(st.text(max_size=4), st.sampled_from(_TEXTS)))] = copy.deepcopy(draw(hostile))
    return copy.deepcopy(draw(hostile)) if draw(st.integers(0, 60)) == 0 else tree


_SIZES: tuple[Any, ...] = (
    *(0, 1, 2, 3, 7, 64, 1000, 10**4, 10**5, 10**6, 10**7, 10**9, 2**31, 2**62, 2**63, 2**64, 10**400),
    *(-1, -2, 0.5, 1.5, 1e-9, 1e9, 1e308, math.inf, -math.inf, math.nan),
)


@st.composite
def renumbered(draw: st.DrawFn, tree: Any) -> Any:
    """The tree with one or two of its numbers replaced by others, up to those that fill a memory."""
    tree = copy.deepcopy(tree)
    places = [
        (node, key)
        for node, key in _places(tree)
        if isinstance(node[key], int | float) and not isinstance(node[key], bool)
    ]
    for _ in range(draw(st.integers(1, 2)) if places else 0):
        node, key = draw(st.sampled_from(places))
        node[key] = draw(st.sampled_from(_SIZES))
    return tree


_MOST = {"channels": 2**14, "resolution": 2**13, "expansion": 2**6, "repeats": 2**7}
"""Sizes of a network, and how large each of them may be as far as itself is concerned."""


@st.composite
def enlarged(draw: st.DrawFn, tree: Any) -> Any:
    """The tree with some of its sizes as large as each may be, which together may be too much."""
    tree = copy.deepcopy(tree)
    names = draw(st.lists(st.sampled_from(list(_MOST)), min_size=1, max_size=3, unique=True))
    share = draw(st.sampled_from([1, 2, 4, 16]))
    for node, key in _places(tree):
        if key in names and isinstance(node[key], int | float) and draw(st.integers(0, 3)):
            node[key] = _MOST[key] // share
    return tree


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes whole in most cases, else cut off, with some changed, inserted or repeated, or others."""
    change = draw(st.sampled_from([*["none"] * 12, "cut", "flip", "insert", "repeat", "other", "mark"]))
    place = draw(st.integers(0, len(content)))
    if change == "cut":
        return content[:place]
    if change == "flip":
        changed = bytearray(content)
        for _ in range(draw(st.integers(1, 8))):
            if changed:
                changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
        return bytes(changed)
    if change == "insert":
        return content[:place] + draw(st.binary(min_size=1, max_size=16)) + content[place:]
    if change == "repeat":
        return content[:place] * 2 + content[place:]
    if change == "other":
        return draw(st.binary(max_size=64))
    return (
        draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\0\0", b"\x80"])) + content
        if change == "mark"
        else content
    )


def as_json(tree: Any) -> bytes:
    """JSON text, with Python's NaN and infinities; a lone surrogate is escaped."""
    return json.dumps(tree).encode()


def as_yaml(tree: Any) -> bytes:
    """YAML text; JSON, which YAML reads too, of what YAML's writer refuses."""
    try:
        return yaml.safe_dump(tree, sort_keys=False).encode()
    except (yaml.YAMLError, UnicodeError, RecursionError):
        return as_json(tree)
