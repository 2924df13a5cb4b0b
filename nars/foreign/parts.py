"""A line about a part of a data set, which every command that reads data prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nars.foreign.names import printable
from nars.foreign.signatures import heic_advice

__all__ = ["Part", "counted", "passed_over"]

_NAMED = 6
"""Classes that a line names if there are more."""


@dataclass(frozen=True)
class Part:
    """The reading of one part: what it is taken for, what it holds, what was passed over and why."""

    name: str
    """``train``, ``val`` or ``test``."""
    images: int
    classes: tuple[str, ...]
    layout: str
    """The format and the file or folder that it is in."""
    boxes: int | None = None
    """Objects; None of a classification."""
    notes: tuple[str, ...] = ()
    """Ways in which the part is not as the files have it, such as being cut from another."""
    passed: Mapping[str, int] = field(default_factory=dict)
    """Files that were passed over, by suffix or reason."""

    def line(self) -> str:
        """The facts as a line of text."""
        counts = [counted(self.images, "image")]
        counts += [] if self.boxes is None else [counted(self.boxes, "box")]
        names = ", ".join(printable(name) for name in self.classes[:_NAMED])
        more = len(self.classes) - _NAMED
        listed = f"{names}{f' and {more} more' if more > 0 else ''}"
        counts.append(f"{counted(len(self.classes), 'class')}{f' ({listed})' if self.classes else ''}")
        facts = [f"{self.name}: {', '.join(counts)}", printable(self.layout), *map(printable, self.notes)]
        if self.passed:
            advice = heic_advice(self.passed)
            facts.append(f"passed over: {passed_over(self.passed)}{f' ({advice})' if advice else ''}")
        return "; ".join(fact for fact in facts if fact)

    def row(self) -> dict[str, Any]:
        """The facts as plain values."""
        return {
            "part": self.name,
            "images": self.images,
            "boxes": self.boxes,
            "classes": list(self.classes),
            "layout": self.layout,
            "notes": list(self.notes),
            "passed_over": dict(self.passed),
        }


def passed_over(counts: Mapping[str, int]) -> str:
    """Counts of files as text, the most first."""
    ordered: Iterable[tuple[str, int]] = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {printable(reason)}" for reason, count in ordered)


def counted(number: int, word: str) -> str:
    """A number with the word for what is counted, in the singular of one."""
    plural = f"{word}es" if word.endswith(("s", "x")) else f"{word}s"
    return f"{number} {word if number == 1 else plural}"
