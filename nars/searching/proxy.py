"""The proxy check: does the short training of a search rank candidates like a long one?

A dozen candidates are trained both ways. If the ranks disagree, a search with this short training
finds candidates that are best after a short training only, and its compute is better saved.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed, parallel_config

from nars.errors import RunError, TrialError, UsageError
from nars.runs.config import SearchConfig
from nars.runs.reference import fine_tune
from nars.searching.proxy_result import Pair, ProxyCheck
from nars.searching.ranking import FEWEST_PAIRS, Agreement, kendall
from nars.space import feasible, genotypes
from nars.spec import Trainable
from nars.tasks.base import Outcome, Task

__all__ = ["proxy_check"]

_LAST = 2
"""Last measurements of a training, the mean of which may rank better than the last one alone."""


@dataclass(frozen=True)
class _Job:
    """One training."""

    candidate: Trainable
    seed: int
    index: int
    """Position of the candidate among those sampled."""
    long: bool


@dataclass(frozen=True)
class _Result:
    """The score of one training, or the reason why there is none."""

    job: _Job
    score: float | None
    seconds: float
    reason: str | None
    scores: Mapping[str, float] = field(default_factory=dict)
    """Other scores, by name."""


def proxy_check(
    config: SearchConfig,
    *,
    candidates: int = 12,
    factor: float = 4.0,
    workers: int = 1,
    task: Task | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> ProxyCheck:
    """Train random candidates of a search for their own epochs, and again for `factor` times as many.

    Candidates come from the search's space, within its limits. One worker trains in this process;
    more are processes with one thread each. `task` is the search's task if it is open already.
    `on_done` is called after each training with the number of trainings done and of all. The two
    trainings of a candidate have different seeds, as a search and the training of its winner have. If the
    search fine-tunes a parent, that is done first. Raises `UsageError` for too few candidates or a factor of
    1 or less, `InfeasibleError`, and `RunError` if too few candidates could be trained.
    """
    if candidates < FEWEST_PAIRS or factor <= 1:
        raise UsageError(
            f"give {FEWEST_PAIRS} candidates or more and a factor above 1, got {candidates}, {factor:g}"
        )
    if config.needs_latency:
        raise UsageError("latency is not measured here: limit macs or params instead")
    task = _fine_tuned(config, task or config.open_task())
    sampled, macs = _sample(config, candidates)
    jobs = _jobs(sampled, factor, config.seed)
    results: list[_Result] = []
    for result in _train(task, jobs, workers):
        results.append(result)
        if on_done is not None:
            on_done(len(results), len(jobs))
    pairs = _pairs(sampled, macs, results)
    return _conclude(task.metric, factor, pairs, sum(result.seconds for result in results))


def _fine_tuned(config: SearchConfig, task: Task) -> Task:
    """The task whose candidates inherit from the fine-tuned parent, as those of the search do."""
    if config.reference is None:
        return task
    outcome = fine_tune(task.reference_candidate(config.reference), task, config.seed)
    assert outcome.write is not None, "a task whose candidates inherit has weights"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reference.pt"
        outcome.write(file)
        return task.inheriting(task.parent_in(file))


def _sample(config: SearchConfig, n: int) -> tuple[list[Trainable], list[int]]:
    """Draw `n` random candidates within the limits, with their MACs."""
    space = config.space
    matrix = feasible.sample(space, config.limits, n, np.random.default_rng(config.seed))
    rows = genotypes.to_genotypes(space, matrix)
    macs = [int(value) for value in space.statistics(matrix)["macs"]]
    return [space.decode(genotype, name=f"candidate{index}") for index, genotype in enumerate(rows)], macs


def _jobs(candidates: Sequence[Trainable], factor: float, seed: int) -> list[_Job]:
    """List all trainings, the long ones first so that the last to finish is a short one."""
    rng = np.random.default_rng(seed)
    short_seeds, long_seeds = rng.integers(2**31, size=(2, len(candidates))).tolist()
    numbered = list(enumerate(candidates))
    long = [_Job(_longer(candidate, factor), long_seeds[i], i, long=True) for i, candidate in numbered]
    return long + [_Job(candidate, short_seeds[i], i, long=False) for i, candidate in numbered]


def _longer(candidate: Trainable, factor: float) -> Trainable:
    return candidate.for_epochs(round(candidate.epochs * factor))


def _train(task: Task, jobs: Sequence[_Job], workers: int) -> Iterator[_Result]:
    """Yield results in the order they finish. Closing the iterator, as Ctrl-C does, ends the processes."""
    if workers == 1:
        yield from (_run(task, job) for job in jobs)
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(_run_in_child)(task, job) for job in jobs)


def _run_in_child(task: Task, job: _Job) -> _Result:
    """Run a training in a child process, which its parent ends on Ctrl-C."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    return _run(task, job)


def _run(task: Task, job: _Job) -> _Result:
    try:
        outcome = task.run(job.candidate, seed=job.seed)
    except TrialError as error:
        return _Result(job, None, 0.0, str(error))
    return _Result(job, outcome.score, outcome.seconds, None, _other_scores(outcome))


def _other_scores(outcome: Outcome) -> dict[str, float]:
    """The other metrics of a training, and the mean of its last measurements."""
    last = [score for _, score in outcome.curve[-_LAST:]]
    means = {f"mean of the last {_LAST}": sum(last) / _LAST} if len(last) == _LAST else {}
    return dict(outcome.metrics) | means


def _pairs(candidates: Sequence[Trainable], macs: Sequence[int], results: Sequence[_Result]) -> list[Pair]:
    """Put both results of each candidate together."""
    by_job = {(result.job.index, result.job.long): result for result in results}
    pairs = []
    for index, candidate in enumerate(candidates):
        short, long = by_job[index, False], by_job[index, True]
        pair = Pair(
            name=candidate.title,
            macs=macs[index],
            epochs=(candidate.epochs, long.job.candidate.epochs),
            short=short.score,
            long=long.score,
            reason=short.reason or long.reason,
            scores=short.scores,
        )
        pairs.append(pair)
    return pairs


def _conclude(metric: str, factor: float, pairs: Sequence[Pair], seconds: float) -> ProxyCheck:
    """Compare the rankings of the pairs with both scores. Raises `RunError` if there are too few."""
    scored = [(pair.short, pair.long) for pair in pairs if pair.short is not None and pair.long is not None]
    short, long = np.array(scored, dtype=np.float64).reshape(-1, 2).T
    agreement = kendall(short, long)
    if agreement is None:
        reason = next((pair.reason for pair in pairs if pair.reason), "all scores are equal")
        raise RunError(f"only {len(scored)} of {len(pairs)} candidates can be ranked: {reason}")
    loss = float(long.max() - long[np.argmax(short)])
    return ProxyCheck(metric, factor, tuple(pairs), agreement, loss, seconds, _by_score(pairs, metric))


def _by_score(pairs: Sequence[Pair], metric: str) -> dict[str, Agreement]:
    """How the other scores of the short trainings rank, if all that succeeded have them, the best first."""
    ranked = [pair for pair in pairs if pair.short is not None and pair.long is not None]
    names = [name for name in ranked[0].scores if all(name in pair.scores for pair in ranked)]
    names = [name for name in names if name != metric]
    long = [pair.long or 0.0 for pair in ranked]
    agreements = {name: kendall([pair.scores[name] for pair in ranked], long) for name in names}
    known = [(name, tau) for name, tau in agreements.items() if tau is not None]
    return dict(sorted(known, key=lambda pair: -pair[1].value))
