"""How busy are 1 to 4000 workers, and what limits them? A simulation with measured costs and durations.

    python -m experiments.scale.simulate [--minutes .6 10 60] [--workers 1 16 100 1000] [--trials 20000]

Workers ask, wait for the duration of a training, and tell, on a simulated clock. Proposals are made one after
the other, as workers of a search make them: one that asks waits for those who asked before it, but at most
half a minute, so that no two train the same candidate. Each takes what `measure` found at that number of
trials, interpolated, and so does the storage, which a journal serves one process at a time and PostgreSQL as
many as wanted. Durations are those of the trainings in `experiments/joint_table`, scaled to a mean. Rows with
``server`` simulate one process that makes all proposals, so that those between two results share a fit.

Costs a minute. Writes utilization.csv (one row for each storage, mean duration and number of workers) and
utilization.png. Utilization is the share of their time in which workers train, until the last training
begins.
"""

from __future__ import annotations

import argparse
import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from experiments.scale.measure import COSTS
from nars.searching.wrappers import PATIENCE_SECONDS

__all__ = ["Costs", "Simulated", "simulate"]

_FOLDER = Path(__file__).parent
_DURATIONS = _FOLDER.parent / "joint_table" / "micro-fashion.csv.gz"
"""Trainings whose ``seconds`` are drawn from."""


@dataclass(frozen=True)
class Costs:
    """Seconds of what a trial needs, after so many trials."""

    trials: np.ndarray
    propose: np.ndarray
    again: np.ndarray
    write: np.ndarray
    news: np.ndarray
    serial: bool
    """Whether the storage serves one process at a time."""

    @classmethod
    def of(cls, storage: str, table: pd.DataFrame) -> Costs:
        rows = table[table.storage == storage].sort_values("trials")
        names = ("trials", "propose", "again", "write", "news")
        trials, propose, again, write, news = (rows[name].to_numpy(float) for name in names)
        return cls(trials, propose, again, write, news, serial=storage == "journal")

    def at(self, trials: int) -> tuple[float, float, float, float]:
        """Seconds of a proposal, another one, the writes of a trial, and the reading of a new trial."""
        place = np.log(max(trials, 1))
        known = np.log(self.trials)
        columns = (self.propose, self.again, self.write, self.news)
        return tuple(float(np.interp(place, known, column)) for column in columns)  # type: ignore[return-value]  # four


@dataclass(frozen=True)
class Simulated:
    """The course of a simulated search."""

    workers: int
    hours: float
    """Until the last training begins."""
    utilization: float
    """Share of the workers' time that they train."""
    proposals: float
    """Proposals a second."""
    stored: float
    """Seconds of storage for a trial, with the time in which it waits for others."""


def simulate(costs: Costs, durations: np.ndarray, workers: int, trials: int, *, server: bool) -> Simulated:
    """Let `workers` train `trials` candidates with `durations` [n], drawn in order, on a simulated clock."""
    waiting = deque((0.0, worker) for worker in range(workers))  # since when, who
    training: list[tuple[float, int]] = []
    seen = np.zeros(workers + 1, int)  # trials told when a worker, or the server at last, read them
    clock = storage_free = stored = 0.0  # the clock is that of the queue of proposals
    told, fitted, begun = 0, -1, []
    for duration in durations[:trials]:
        while training and (training[0][0] <= clock or not waiting):
            done, worker = heapq.heappop(training)
            clock, told = max(clock, done) if not waiting else clock, told + 1
            waiting.append((done, worker))
        since, worker = waiting.popleft()
        propose, again, write, news = costs.at(told)
        reader = workers if server else worker
        reading, seen[reader] = news * (told - seen[reader]), told
        began = clock if server else min(clock, since + PATIENCE_SECONDS)
        thought = began + reading + (again if server and fitted == told else propose)
        ready = (max(thought, storage_free) if costs.serial else thought) + write
        storage_free, fitted = ready, told
        stored += ready - thought + reading
        clock = max(clock, ready) if began == clock else clock  # else nobody waits for it
        heapq.heappush(training, (ready + duration, worker))
        begun.append(ready)
    end = max(begun)  # when the last training begins; after that workers run out of work
    trained = float(np.minimum(durations[:trials], end - np.array(begun)).sum())
    return Simulated(workers, end / 3600, trained / (workers * end), trials / end, stored / trials)


def _rows(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    table = pd.read_csv(COSTS)
    seconds = pd.read_csv(_DURATIONS).seconds.to_numpy()
    for storage in sorted(set(table.storage)):
        costs = Costs.of(storage, table)
        for minutes in options.minutes:
            for workers in options.workers:
                trials = max(min(options.trials, 20 * workers), 200)
                drawn = np.random.default_rng(0).choice(seconds, trials) * 60 * minutes / seconds.mean()
                for server in (False, True):
                    found = simulate(costs, drawn, workers, trials, server=server)
                    yield {
                        "storage": storage,
                        "minutes": minutes,
                        "server": server,
                        "trials": trials,
                        **asdict(found),
                    }


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw utilization by workers: a panel for each storage, a line for each duration."""
    storages = sorted(set(table.storage))
    figure, panels = plt.subplots(
        1, len(storages), figsize=(4 * len(storages), 3.2), sharey=True, squeeze=False
    )
    for panel, storage in zip(panels[0], storages, strict=True):
        for (minutes, server), part in table[table.storage == storage].groupby(["minutes", "server"]):
            label = f"{minutes:g} min{', one proposer' if server else ''}"
            panel.plot(part.workers, part.utilization, "--" if server else "-", label=label)
        panel.set(xscale="log", title=storage, xlabel="workers", ylim=(0, 1.02))
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("share of time in trainings")
    panels[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.6, 10, 60], help="mean durations")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1000, 4000], help="how many"
    )
    parser.add_argument("--trials", type=int, default=20_000, help="at most; else 20 for each worker")
    table = pd.DataFrame(_rows(parser.parse_args()))
    table.to_csv(_FOLDER / "utilization.csv", index=False, float_format="%.4g")
    draw(table, _FOLDER / "utilization.png")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))


if __name__ == "__main__":
    main()
