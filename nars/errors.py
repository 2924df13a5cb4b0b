"""Exceptions that a user's mistake or a bad input can raise.

    NarsError
    ├── UsageError            a wrong option, name or combination of them
    ├── SpecError             an architecture, recipe, candidate or space that breaks a rule
    ├── DataError             images, labels or annotations that cannot be used
    ├── InfeasibleError       constraints that no candidate meets
    ├── RunError              a run folder that belongs to another search, or is unreadable
    │   ├── StorageAwayError  a storage that does not answer; the same command may work later
    │   └── EngineAwayError   a cluster that is gone, with all workers; likewise
    ├── WeightsError          a checkpoint that does not fit, or may not be opened
    ├── ExportError           an exported file that does not reproduce the model
    └── TrialError            one candidate that could not be trained; the search continues
        ├── NonFiniteLossError
        └── TrialMemoryError

The command line prints each as one line and exits with 2, or with 75 if something is away, so a scheduler
tries again. A broken invariant of our own is an ``assert``, never one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "ContinuedInterrupt",
    "DataError",
    "EngineAwayError",
    "ExportError",
    "InfeasibleError",
    "NarsError",
    "NonFiniteLossError",
    "RunError",
    "SpecError",
    "StorageAwayError",
    "TrialError",
    "TrialMemoryError",
    "UsageError",
    "WeightsError",
    "closest",
    "continued",
]


class NarsError(Exception):
    """Base of every error that the user can mend."""


class UsageError(NarsError):
    pass


class SpecError(NarsError, ValueError):
    """Also a `ValueError`, so that pydantic adds the key of the field in which it was raised."""


class DataError(NarsError):
    """The message is the problem and, if what is bad can be left out, the remedy that says how."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class InfeasibleError(NarsError):
    pass


class RunError(NarsError):
    pass


class StorageAwayError(RunError):
    pass


class EngineAwayError(RunError):
    pass


class WeightsError(NarsError):
    pass


class ExportError(NarsError):
    pass


class TrialError(NarsError):
    pass


class NonFiniteLossError(TrialError):
    pass


class TrialMemoryError(TrialError):
    pass


class ContinuedInterrupt(KeyboardInterrupt):
    """Ctrl-C, or a termination, of work that the same command continues."""


@contextmanager
def continued() -> Iterator[None]:
    """Raise `ContinuedInterrupt` if the body, which the same command continues, is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise ContinuedInterrupt from None


def closest(word: str, valid: Iterable[str], most: int | None = None) -> str:
    """A clause for an error message: the valid word nearest to `word`, or (at `most` so many) valid words."""
    names = sorted(valid)
    match = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if match:
        return f"did you mean {match[0]!r}?"
    rest = [] if most is None or len(names) <= most else [f"... ({len(names)} in all)"]
    return f"valid: {', '.join([*names[:most], *rest])}"
