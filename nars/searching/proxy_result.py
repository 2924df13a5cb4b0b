"""The result of a proxy check, and its conclusion in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nars.searching.ranking import Agreement

__all__ = ["Pair", "ProxyCheck"]

_TRUSTED_TAU = 0.6
"""Kendall's tau from which on the short training can be trusted: 80 % of pairs are ordered alike."""

_POOR_TAU = 0.3
"""Kendall's tau below which the short training does not rank: only 65 % of pairs are ordered alike."""


@dataclass(frozen=True)
class Pair:
    """A candidate, trained both ways."""

    name: str
    macs: int
    epochs: tuple[int, int]
    """Epochs of the short and of the long training."""
    short: float | None
    """Score after the short training."""
    long: float | None
    """Score after the long training."""
    reason: str | None = None
    """Why a score is missing."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Other scores of the short training, by name."""


@dataclass(frozen=True)
class ProxyCheck:
    """The result of a proxy check."""

    metric: str
    factor: float
    """Epochs of the long training over those of the short one."""
    pairs: tuple[Pair, ...]
    agreement: Agreement
    """Kendall's tau between the two rankings."""
    loss: float
    """Score lost, after the long training, by picking the candidate that is best after the short one."""
    seconds: float
    """Duration of all trainings, summed over processes."""
    by_score: Mapping[str, Agreement] = field(default_factory=dict)
    """Kendall's tau between other scores of the short training and the score of the long one."""

    @property
    def verdict(self) -> str:
        """The conclusion in plain words."""
        tau = self.agreement
        alike = f"{(1 + tau.value) / 2:.0%} of pairs are ordered alike"
        if tau.low >= _TRUSTED_TAU:
            return f"the short training can be trusted: {alike}"
        if tau.value >= _TRUSTED_TAU:
            return f"the short training most likely ranks well ({alike}); more candidates would tell"
        if tau.low < _POOR_TAU and tau.high >= _TRUSTED_TAU:
            return f"{tau.pairs} candidates cannot tell ({alike}): take more of them, or train longer"
        if tau.value >= _POOR_TAU:
            return f"the short training tells good from bad, not good from best ({alike}): train longer"
        return f"the short training does not rank like the long one ({alike}): train longer"

    def __str__(self) -> str:
        failed = sum(pair.reason is not None for pair in self.pairs)
        lines = [
            f"Kendall's tau {self.agreement}, with the 95% interval in brackets",
            f"picking by the short training costs {self.loss:.2%} {self.metric} after the long one",
            self.verdict,
        ]
        lines += [f"by {name}: Kendall's tau {tau}" for name, tau in self.by_score.items()]
        if failed:
            lines.insert(1, f"{failed} of {len(self.pairs)} candidates could not be trained")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        pairs = [vars(pair) for pair in self.pairs]
        fields = {"metric": self.metric, "factor": self.factor, "tau": self.agreement.to_dict()}
        fields |= {"by_score": {name: tau.to_dict() for name, tau in self.by_score.items()}}
        return fields | {"loss": self.loss, "verdict": self.verdict, "seconds": self.seconds, "pairs": pairs}
