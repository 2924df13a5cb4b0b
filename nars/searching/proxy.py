"""Does the short training of a search rank candidates like a long one?

A dozen candidates are trained both ways. If the ranks disagree, a search with this short training
finds what is best after a short training, and its compute is better not spent.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config

from nars import tasks
from nars.errors import RunError, TrialError, UsageError
from nars.searching.config import SearchConfig
from nars.searching.ranking import Agreement, kendall
from nars.space import feasible, genotypes
from nars.space.cost import count
from nars.spec import Candidate
from nars.tasks.base import Task

__all__ = ["Pair", "ProxyCheck", "proxy_check"]

LEAST = 4
"""Pairs without which ranks say nothing."""
GOOD, POOR = 0.6, 0.3
"""Kendall's tau: 0.6 orders 80 % of pairs alike, 0.3 only 65 %."""


@dataclass(frozen=True)
class Pair:
    """One candidate, trained both ways."""

    name: str
    macs: int
    epochs: tuple[int, int]
    """Of the short and of the long training."""
    short: float | None
    long: float | None
    reason: str | None = None
    """Why a score is missing."""


@dataclass(frozen=True)
class ProxyCheck:
    """What the trainings gave; seconds of training are summed over processes."""

    metric: str
    factor: float
    pairs: tuple[Pair, ...]
    agreement: Agreement
    """Kendall's tau between both rankings."""
    loss: float
    """How much worse than the best, after the long training, is the candidate that the short one picks."""
    seconds: float

    @property
    def verdict(self) -> str:
        """In plain words."""
        tau = self.agreement
        alike = f"{(1 + tau.value) / 2:.0%} of pairs are ordered alike"
        if tau.low >= GOOD:
            return f"the short training can be trusted: {alike}"
        if tau.value >= GOOD:
            return f"the short training most likely ranks well ({alike}); more candidates would tell"
        if tau.low < POOR and tau.high >= GOOD:
            return f"{tau.pairs} candidates cannot tell ({alike}): take more of them, or train longer"
        if tau.value >= POOR:
            return f"the short training tells good from bad, not good from best ({alike}): train longer"
        return f"the short training does not rank like the long one ({alike}): train longer"

    def __str__(self) -> str:
        failed = sum(pair.reason is not None for pair in self.pairs)
        lines = [
            f"Kendall's tau {self.agreement}, in brackets the 95% interval",
            f"picking by the short training costs {self.loss:.2%} {self.metric} after the long one",
            self.verdict,
        ]
        if failed:
            lines.insert(1, f"{failed} of {len(self.pairs)} candidates could not be trained")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        pairs = [vars(pair) for pair in self.pairs]
        fields = {"metric": self.metric, "factor": self.factor, "tau": self.agreement.to_dict()}
        return fields | {"loss": self.loss, "verdict": self.verdict, "seconds": self.seconds, "pairs": pairs}


@dataclass(frozen=True)
class _Job:
    candidate: Candidate
    seed: int
    at: int
    long: bool


@dataclass(frozen=True)
class _Done:
    job: _Job
    score: float | None
    seconds: float
    reason: str | None


def proxy_check(
    config: SearchConfig,
    *,
    candidates: int = 12,
    factor: float = 4.0,
    workers: int = 1,
    task: Task | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> ProxyCheck:
    """Train candidates of the search's space and limits for their epochs, and for `factor` times as many.

    Trainings run in `workers` processes of one thread each, or in this process for one worker.
    `task` is the search's task where it is open already. `on_done` is called after each training
    with how many are done and how many there are. Both trainings have their own seed, as a search
    and the training of its winner have. Raises `UsageError` for too few candidates or a factor of 1
    or less, `InfeasibleError`, and `RunError` where too few could be trained.
    """
    if candidates < LEAST or factor <= 1:
        raise UsageError(
            f"give {LEAST} candidates or more and a factor above 1, got {candidates}, {factor:g}"
        )
    if config.needs_latency:
        raise UsageError("latency is not measured here: limit macs or params instead")
    task = task or tasks.load(config.task, config.data, config.device, drop_bad=config.drop_bad)
    chosen = _choose(config, candidates)
    jobs = _jobs(chosen, factor, config.seed)
    done: list[_Done] = []
    for each in _train(task, jobs, workers):
        done.append(each)
        if on_done is not None:
            on_done(len(done), len(jobs))
    pairs = _pairs(chosen, config.space.num_classes, done)
    return _conclude(task.metric, factor, pairs, sum(each.seconds for each in done))


def _choose(config: SearchConfig, n: int) -> list[Candidate]:
    space = config.space
    matrix = feasible.sample(space, config.limits, n, np.random.default_rng(config.seed))
    found = genotypes.to_genotypes(space, matrix)
    return [space.decode(genotype, name=f"candidate{at}") for at, genotype in enumerate(found)]


def _jobs(candidates: Sequence[Candidate], factor: float, seed: int) -> list[_Job]:
    """Long trainings first, so that none is left over at the end."""
    seeds = np.random.default_rng(seed).integers(2**31, size=(2, len(candidates))).tolist()
    long = [_Job(_longer(each, factor), seeds[1][at], at, True) for at, each in enumerate(candidates)]
    return long + [_Job(each, seeds[0][at], at, False) for at, each in enumerate(candidates)]


def _longer(candidate: Candidate, factor: float) -> Candidate:
    epochs = round(candidate.recipe.epochs * factor)
    return candidate.replace(recipe=candidate.recipe.replace(epochs=epochs))


def _train(task: Task, jobs: Sequence[_Job], workers: int) -> Iterator[_Done]:
    """Results as they come. Closing the iterator, as Ctrl-C does, ends the processes."""
    if workers == 1:
        yield from (_run(task, job) for job in jobs)
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(_run_apart)(task, job) for job in jobs)


def _run_apart(task: Task, job: _Job) -> _Done:
    """In a process of its own, which the parent ends on Ctrl-C."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    return _run(task, job)


def _run(task: Task, job: _Job) -> _Done:
    try:
        outcome = task.run(job.candidate, seed=job.seed)
    except TrialError as error:
        return _Done(job, None, 0.0, str(error))
    return _Done(job, outcome.score, outcome.seconds, None)


def _pairs(candidates: Sequence[Candidate], num_classes: int, done: Sequence[_Done]) -> list[Pair]:
    by_job = {(each.job.at, each.job.long): each for each in done}
    pairs = []
    for at, candidate in enumerate(candidates):
        short, long = by_job[at, False], by_job[at, True]
        architecture, epochs = candidate.architecture, candidate.recipe.epochs
        macs = count(architecture, num_classes=num_classes).macs
        both = (epochs, long.job.candidate.recipe.epochs)
        reason = short.reason or long.reason
        pairs.append(Pair(architecture.name, macs, both, short.score, long.score, reason))
    return pairs


def _conclude(metric: str, factor: float, pairs: Sequence[Pair], seconds: float) -> ProxyCheck:
    scored = [(pair.short, pair.long) for pair in pairs if pair.short is not None and pair.long is not None]
    agreement = None
    if len(scored) >= LEAST:
        short, long = map(np.array, zip(*scored, strict=True))
        agreement = kendall(short, long)
    if agreement is None:
        reason = next((pair.reason for pair in pairs if pair.reason), "all scores are equal")
        raise RunError(f"only {len(scored)} of {len(pairs)} candidates can be ranked: {reason}")
    loss = float(long.max() - long[np.argmax(short)])
    return ProxyCheck(metric, factor, tuple(pairs), agreement, loss, seconds)
