"""Runs kinds on many cases, and collects what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from experiments.fuzz import box_sets, checkpoints, data_sets, documents, pictures, runs
from experiments.fuzz.judge import Case, Kind, Verdict, judge

__all__ = ["KINDS", "Tally", "tally"]

_MODULES = (pictures, data_sets, box_sets, checkpoints, documents, runs)

KINDS: dict[str, Kind] = {kind.name: kind for module in _MODULES for kind in module.KINDS}
"""Every kind by its name."""


@dataclass
class Tally:
    """The outcomes of the cases of a kind."""

    kind: str
    cases: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[Case, str]] = field(default_factory=dict)
    """The smallest case of each fault, with its traceback."""
    seconds: float = 0.0
    memory: int = 0

    def add(self, case: Case, verdict: Verdict) -> None:
        """Count one case."""
        self.cases += 1
        self.refused += verdict.refused
        self.seconds = max(self.seconds, verdict.seconds)
        self.memory = max(self.memory, verdict.memory)
        if verdict.fault is not None:
            self.faults[verdict.fault] += 1
            known = self.examples.get(verdict.fault)
            size = sum(map(len, case.values()))
            if known is None or size < sum(map(len, known[0].values())):
                self.examples[verdict.fault] = (case, verdict.details)


def tally(
    kind: Kind, examples: int, random_seed: int | None = None, judged: Callable[[Case], Verdict] | None = None
) -> Tally:
    """Judge many cases of a kind: the same ones each time, others with a seed.

    `judged` judges a case; by default it is judged in this process.
    """
    result = Tally(kind.name)
    cases: Any = kind.cases
    judged = judged or partial(judge, kind)

    @settings(
        max_examples=examples,
        derandomize=random_seed is None,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def examine(case: Case) -> None:
        result.add(case, judged(case))

    (examine if random_seed is None else seed(random_seed)(examine))()
    return result
