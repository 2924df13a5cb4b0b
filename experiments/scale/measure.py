"""How long do a proposal and the storage of a trial take, and how does that grow with the trials behind it?

    OMP_NUM_THREADS=1 python -m experiments.scale.measure [--trials 10 100 1000] [--postgresql URL]

Fills a study of the `micro` space with finished random trials, which carry what a search writes down about a
trial: in memory, in a journal file and, with ``--postgresql``, on a server. At each size it trains a few
trials of no duration with the real sampler, and appends their median times to costs.csv:

- ``propose``: the sampler, without the storage, in seconds of CPU, after others have told 64 trials, or a
  tenth of the size if that is less
- ``again``: the same with nothing told since the last proposal of the same process
- ``write``: all calls of the storage from the ask of a trial to its tell, with ten scores in between, once
  what others have told is read
- ``news``: a second process reads one trial that was told since it last looked
- ``join``: a new process reads the whole study

The last three are seconds of this process's CPU for a server, which says the same on cores that others keep
busy, and leaves out the server's own; for the other storages, which are used in turn, they are seconds.

Costs a quarter of an hour on one core, most of it to fill the journal. Rows that are there are kept.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import optuna
import pandas as pd
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study
from optuna.trial import Trial, TrialState

from experiments.scale.filling import EPOCHS, fill, record
from nars.internals import storage_of
from nars.runs.patient import PatientStorage
from nars.runs.storage import open_storage
from nars.sampling.sampler import NarsSampler
from nars.space import Space
from nars.trials import write
from search_spaces.spaces import space

__all__ = ["COSTS"]

COSTS = Path(__file__).parent / "costs.csv"
"""Median seconds by storage and trials."""

_REPEATS = 5
"""Trials at each size."""

_OTHERS = 64
"""Trials at most that other workers have told since a worker asked last."""

_LIMITS = {"macs": 4e6}
"""Limits of the search."""

T = TypeVar("T")


class Timed(PatientStorage):
    """A storage that knows how long its calls took."""

    def __init__(self, inner: BaseStorage) -> None:
        super().__init__(inner, "timed")
        self.seconds = 0.0
        self.busy = 0.0
        """Seconds of CPU in them."""

    def taken(self, url: str | None) -> float:
        """Seconds of the storage so far: of CPU if it is a server's."""
        return self.seconds if url is None else self.busy

    def _ask(self, method: Callable[..., T], *arguments: Any) -> T:
        began, busy = time.perf_counter(), time.process_time()
        try:
            return super()._ask(method, *arguments)
        finally:
            self.seconds += time.perf_counter() - began
            self.busy += time.process_time() - busy


def main() -> None:
    options = _parse()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    micro = space("micro").replace(num_classes=10)
    rows: list[Any] = pd.read_csv(COSTS).to_dict("records") if COSTS.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "study.journal")
        wheres = {"memory": None, "journal": journal, "postgresql": options.postgresql}
        for name in options.storages:
            sizes = [size for size in options.trials if not _is_in(rows, name, size)]
            if not sizes or (name == "postgresql" and options.postgresql is None):
                continue
            for row in _measured(micro, wheres[name], sizes):
                rows.append({"storage": name, **row})
                print(rows[-1], flush=True)
                table = pd.DataFrame(rows).sort_values(["storage", "trials"])
                table.to_csv(COSTS, index=False, float_format="%.5f")
    print(pd.read_csv(COSTS).to_string(index=False))


def _is_in(rows: list[dict[str, Any]], name: str, size: int) -> bool:
    return any(row["storage"] == name and row["trials"] == size for row in rows)


def _measured(micro: Space, where: str | None, sizes: list[int]) -> Any:
    """Yield a row for each size of one study, which grows."""
    first = InMemoryStorage() if where is None else open_storage(where)
    url = where if where is not None and "://" in where else None
    name = f"scale-{time.time_ns()}"
    sampler = NarsSampler(micro, limits=_LIMITS, seed=0)
    study = optuna.create_study(study_name=name, storage=Timed(first), direction="maximize", sampler=sampler)
    try:
        for size in sizes:
            fill(study, micro, size, url)
            clock = _clock(url)
            began = clock()
            other = optuna.load_study(
                study_name=name, storage=first if where is None else open_storage(where)
            )
            other.get_trials(deepcopy=False)
            join = clock() - began
            others = min(_OTHERS, size // 10)
            times = [_trained(study, micro, other, others, url) for _ in range(_REPEATS)]
            middle = {key: float(np.median([each[key] for each in times])) for key in times[0]}
            yield {"trials": size, **middle, "join": join}
    finally:
        optuna.delete_study(study_name=name, storage=first)


def _trained(study: Study, micro: Space, other: Study, others: int, url: str | None) -> dict[str, float]:
    """Ask for a trial, report its scores and tell it, as a worker does, and let another process read it.

    So many `others` are told before.
    """
    storage = storage_of(study)
    assert isinstance(storage, Timed)
    other.get_trials(deepcopy=False)
    fill(study, micro, len(study.get_trials(deepcopy=False)) + others, url)
    study.get_trials(deepcopy=False)  # what others told is read, which `news` counts
    before = storage.taken(url)
    propose, trial = _asked(study, micro)
    write(study, trial, record())
    for step in range(EPOCHS):
        trial.report(0.5, step)
    study.tell(trial, 0.5)
    written = storage.taken(url) - before
    news = _seconds(lambda: other.get_trials(deepcopy=False), _clock(url)) / (others + 1)
    for _ in range(2):  # the first one fits to what was told
        again, running = _asked(study, micro)
        study.tell(running, state=TrialState.FAIL)
    return {"propose": propose, "again": again, "write": written, "news": news}


def _asked(study: Study, micro: Space) -> tuple[float, Trial]:
    """Ask for a trial; return the seconds of CPU that its proposal took, without the storage."""
    storage = storage_of(study)
    assert isinstance(storage, Timed)
    began, before = time.process_time(), storage.busy
    trial = study.ask(dict(micro.distributions))
    return time.process_time() - began - (storage.busy - before), trial


def _clock(url: str | None) -> Callable[[], float]:
    """Return what times a storage: the CPU of this process if there is a server, which serves all at once."""
    return time.perf_counter if url is None else time.process_time


def _seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    call()
    return clock() - began


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    sizes = [10, 100, 1000, 10_000, 20_000]
    parser.add_argument("--trials", type=int, nargs="+", default=sizes, help="sizes")
    parser.add_argument("--storages", nargs="+", default=["memory", "journal", "postgresql"], help="which")
    parser.add_argument("--postgresql", help="URL of a database")
    return parser.parse_args()


if __name__ == "__main__":
    main()
