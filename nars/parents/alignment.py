"""Pairs each block of a candidate with a block of its parent.

Blocks of a stage that share one residual stream have the same width. A candidate keeps the first blocks
of each stream of its parent; blocks beyond the parent's depth correspond to none.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nars.errors import WeightsError
from nars.spec import Architecture, Block

__all__ = ["Site", "Stream", "sites", "streams"]


@dataclass(frozen=True)
class Site:
    """A single block at its place in a network."""

    name: str
    """Prefix of its tensors: ``stages.STAGE.BLOCK``."""
    in_channels: int
    row: Block


@dataclass(frozen=True)
class Stream:
    """Consecutive blocks of one width, in a candidate and in its parent."""

    child: tuple[Site, ...]
    parent: tuple[Site, ...]
    """The parent's blocks, from the first; there may be more or fewer."""

    def pairs(self) -> Iterator[tuple[Site, Site | None]]:
        """Each block of the candidate with its parent's, None beyond the parent's depth."""
        parents: list[Site | None] = [*self.parent[: len(self.child)]]
        yield from zip(self.child, parents + [None] * (len(self.child) - len(parents)), strict=True)


_Cut = tuple[tuple[Site, ...], ...]
"""A stage cut into streams."""


def streams(child: Architecture, parent: Architecture) -> list[Stream]:
    """The streams of a candidate, each with its parent's.

    Raises `WeightsError` that names the first stage in which the two are of another structure.
    """
    ours, theirs = sites(child), sites(parent)
    if len(ours) != len(theirs):
        raise WeightsError(f"{child.name} has {len(ours)} stages, its parent {parent.name} has {len(theirs)}")
    aligned: list[Stream] = []
    for stage, (own_sites, originals) in enumerate(zip(ours, theirs, strict=True)):
        count = max(_widths(own_sites), _widths(originals))
        pairs = list(itertools.product(_cuts(own_sites, count), _cuts(originals, count)))
        fitting = [pair for pair in pairs if all(map(_fits, *pair))]
        if not fitting:
            rule = f"differs from that of its parent {parent.name} in operations or strides"
            raise WeightsError(f"stage {stage} of {child.name} {rule}")
        own, original = min(fitting, key=lambda pair: _cost(*pair))
        aligned += map(Stream, own, original)
    return aligned


def sites(architecture: Architecture) -> list[list[Site]]:
    """The single blocks of every stage."""
    stages: list[list[Site]] = [[] for _ in architecture.stages]
    for stage, channels, row in architecture.blocks():
        stages[stage].append(Site(f"stages.{stage}.{len(stages[stage])}", channels, row))
    return stages


def _widths(sites: Sequence[Site]) -> int:
    """How many streams a stage has at least: runs of one kind and width."""
    return sum(1 for _ in itertools.groupby(sites, lambda site: (site.row.op, site.row.channels)))


def _cuts(sites: Sequence[Site], count: int) -> list[_Cut]:
    """Every way to cut a stage into `count` streams of one kind and width.

    Neighbouring streams may be equally wide, so there can be several ways.
    """
    cuts = []
    for inner in itertools.combinations(range(1, len(sites)), count - 1):
        bounds = [0, *inner, len(sites)]
        cut = tuple(tuple(sites[start:end]) for start, end in itertools.pairwise(bounds))
        if all(_widths(stream) == 1 for stream in cut):
            cuts.append(cut)
    return cuts


def _fits(own: Sequence[Site], original: Sequence[Site]) -> bool:
    """Whether a stream can inherit from another."""
    first, theirs = own[0].row, original[0].row
    return (first.op, first.stride) == (theirs.op, theirs.stride)


def _cost(own: _Cut, original: _Cut) -> tuple[int, int]:
    """Blocks that would have no parent, then the difference of all depths: both are better small."""
    depths = [(len(stream), len(parent)) for stream, parent in zip(own, original, strict=True)]
    return sum(max(0, mine - theirs) for mine, theirs in depths), sum(abs(a - b) for a, b in depths)
