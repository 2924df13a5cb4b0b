"""The results of a search in numbers: its winner, its reference, its budget, trust in the predictor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from optuna.study import Study
from optuna.trial import FrozenTrial

from nars.runs.config import SearchConfig
from nars.runs.reference import charged
from nars.runs.run import Run
from nars.searching import confirm
from nars.searching.confirm import Measured
from nars.searching.ranking import Agreement
from nars.searching.results import costs_of, rank_correlation, state_of
from nars.studies import reference_record
from nars.trials import Record

__all__ = ["Best", "FineTuned", "Summary"]


@dataclass(frozen=True)
class Best:
    """The winner of a search in numbers."""

    metric: str
    score: float
    """Mean on val over its runs."""
    sd: float | None
    """Standard deviation over runs; None for a single run."""
    trials: tuple[int, ...]
    """Numbers of the trials that are its runs."""
    costs: Mapping[str, int]
    """MACs and parameters."""
    file: Path
    """The winner as YAML."""
    interval: tuple[float, float] | None = None
    """95 % interval of the score over the choice of val images, the mean over its runs, if it is known."""


@dataclass(frozen=True)
class FineTuned:
    """The reference of a search in numbers."""

    metric: str
    score: float
    """Score on val after its last epoch."""
    costs: Mapping[str, int]
    """MACs and parameters."""
    resolution: int
    epochs: int
    seconds: float

    @classmethod
    def of(cls, study: Study, config: SearchConfig) -> Self | None:
        """Read the reference of a search; None without one, and before it is fine-tuned."""
        record = reference_record(study)
        if record is None or config.reference is None:
            return None
        return cls(
            metric=config.metric,
            score=record.measured[config.metric],
            costs={name: int(record.measured[name]) for name in ("macs", "params")},
            resolution=config.reference.resolution,
            epochs=record.epochs or 0,
            seconds=record.seconds or 0.0,
        )


@dataclass(frozen=True)
class Summary:
    """The results of a search in numbers: budget, trials, winner, trust in the predictor."""

    run: Path
    """The run folder."""
    budget: str
    spent: float
    """Amount of the budget used, in its unit."""
    trials: Mapping[str, int]
    """Number of trials by state; void trials cost no budget."""
    agreement: Agreement | None
    """Rank correlation of predictions with the scores measured later; None for too few trials."""
    best: Best | None
    init: str = "none"
    """The parent that candidates inherited from."""
    reference: FineTuned | None = None
    """The parent as fine-tuned on the data; None without one, and before it is."""

    @classmethod
    def of(cls, run: Run, study: Study) -> Self:
        """Sum up the study of a run so far."""
        config = run.config
        trials = study.get_trials(deepcopy=False)
        return cls(
            run=run.folder,
            budget=str(config.total),
            spent=round(charged(config.total, study).spent(trials), 1),
            trials=dict(Counter(map(state_of, trials)).most_common()),
            agreement=rank_correlation(trials, config.objectives[0]),
            best=_best(run, trials, confirm.winner(trials, config.directions)),
            init=config.init,
            reference=FineTuned.of(study, config),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the results as plain values, for JSON."""
        trust, best, reference = self.agreement, self.best, self.reference
        return {
            "run": str(self.run),
            "budget": self.budget,
            "spent": self.spent,
            "trials": dict(self.trials),
            "predictor_rank_correlation": trust and {"spearman": trust.value, "trials": trust.pairs},
            "best": best
            and {
                best.metric: best.score,
                "sd": best.sd,
                "interval": best.interval,
                "trials": list(best.trials),
                **best.costs,
                "file": str(best.file),
            },
            "reference": reference
            and {
                reference.metric: reference.score,
                "resolution": reference.resolution,
                "epochs": reference.epochs,
                "seconds": reference.seconds,
                **reference.costs,
            },
        }


def _best(run: Run, trials: Sequence[FrozenTrial], winner: Measured | None) -> Best | None:
    if winner is None:
        return None
    intervals = [Record.of(trial).interval for trial in trials if trial.number in winner.numbers]
    known = [interval for interval in intervals if interval is not None]
    return Best(
        metric=run.config.objectives[0],
        score=winner.mean[0],
        sd=winner.spread[0] if winner.spread else None,
        trials=winner.numbers,
        costs=costs_of(run.config, winner),
        file=run.folder / "best.yaml",
        interval=_mean(known) if known else None,
    )


def _mean(intervals: Sequence[tuple[float, float]]) -> tuple[float, float]:
    low, high = zip(*intervals, strict=True)
    return sum(low) / len(low), sum(high) / len(high)
