"""How many candidates a minute do two workers train on two cores, beside one?

    OMP_NUM_THREADS=1 python -m experiments.faults.two_workers [--budget 24] [--repeats 3] [--workers 1 2]

Searches the digits with random candidates of `micro` of at most 2 M MACs, the same ones with any number of
workers, and alternates between the numbers. The rate is that of all trials from the start of the first to the
end of the last, so it leaves out the start of the processes; the speed is its ratio to that of the first
number of workers in the same repeat. Takes a quarter of an hour on quiet cores, and is worth nothing on
others. The aim is 1.9.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna
from optuna.trial import TrialState

from nars.runs.run import open_run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--budget", type=int, default=24, help="trials of a search")
    parser.add_argument("--repeats", type=int, default=3, help="searches with each number of workers")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    speeds: dict[int, list[float]] = {count: [] for count in options.workers}
    for repeat in range(options.repeats):
        rates = {count: _rate(count, options.budget, repeat) for count in options.workers}
        for count, rate in rates.items():
            speeds[count].append(rate / rates[options.workers[0]])
            print(f"repeat {repeat}: {count} workers train {rate:.1f} candidates a minute", flush=True)
    for count, found in speeds.items():
        print(f"{count} workers: {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})")


def _rate(workers: int, budget: int, seed: int) -> float:
    """Candidates a minute of a search."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "nars", "search", "--space", "micro", "--data", "digits"]
        command += ["--max-macs", "2M", "--sampler", "random", "--no-early-stopping", "--init", "none"]
        command += ["--device", "cpu"]
        command += ["--budget", str(budget), "--seed", str(seed), "--workers", str(workers)]
        subprocess.run(
            [*command, "--run", str(run)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        trials = open_run(run).study().get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    starts = [trial.datetime_start for trial in trials if trial.datetime_start is not None]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete is not None]
    return 60 * len(trials) / (max(ends) - min(starts)).total_seconds()


if __name__ == "__main__":
    main()
