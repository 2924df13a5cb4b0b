"""Make the rows of the table that are missing: searches on all cores, final trainings on one core each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

import nars
from detector.data.coco import write
from detector.data.records import CocoData
from detector.space.candidate import DetectorCandidate
from experiments.detector_folds import fold_of, training_images
from experiments.detector_options import parsed, parser_of
from experiments.detector_table.accuracy import MOST_MACS, write_pictures
from experiments.detector_table.detectors import first_file, search_folder, weights_file, winner_file
from experiments.detector_table.rows import PARENT, RESULTS, ROWS, SEEDS, Row, row_called
from experiments.detector_table.train import final, half_trained
from experiments.resumable import workers
from nars.files import write_whole
from nars.runs.run import Run, config_of, open_run
from nars.spec import Candidate, Trainable

WORK = Path("runs/detector_table")
"""Weights, detections and searches."""

BUDGET = "75min"
"""The time of every search on two cores."""


def main() -> None:
    """Make what is missing, row by row."""
    parser = parser_of(__doc__, WORK, printing=False)
    parser.set_defaults(processes=2)
    parser.add_argument("--budget", default=BUDGET, help="time of every search; minutes are enough on a GPU")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--only-search", action="store_true", help="leave the final trainings to later")
    only.add_argument("--only-final", action="store_true", help="leave out the rows that need a search yet")
    parser.add_argument("--rows", nargs="*", help="names such as b or a400; by default all")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    given = parsed(parser)
    asked = [row for row in ROWS if not given.rows or row.name in given.rows]
    for name in given.sets:
        for row in asked:
            if name in row.sets and not all(_file(name, row, seed).exists() for seed in given.seeds):
                _make(row, name, given)


def _make(row: Row, name: str, given: argparse.Namespace) -> None:
    """Search if the row needs it, then train every seed that is missing."""
    if row.search is not None and not winner_file(name, row.search).exists():
        if given.only_final:
            return
        for needed in dict.fromkeys((row.trials_of or row.search, row.search)):
            _search(row_called(needed), name, given)
    if given.only_search:
        return
    seeds = [seed for seed in given.seeds if not _file(name, row, seed).exists()]
    how = (given.data_root, given.work, given.device)
    with workers(given.processes) as pool:
        if row.inherits:
            halves = [seed for seed in seeds if not _half(given, name, seed).exists()]
            for job in [pool.submit(half_trained, name, seed, *how) for seed in halves]:
                job.result()
        jobs = [pool.submit(final, row, name, seed, *how, _file(name, row, seed)) for seed in seeds]
        for seed, job in zip(seeds, jobs, strict=True):
            job.result()
            print(_file(name, row, seed).read_text(), flush=True)


def _half(given: argparse.Namespace, name: str, seed: int) -> Path:
    """The weights that rows inherit."""
    return weights_file(given.work, name, PARENT, seed, half=True)


def _search(row: Row, name: str, given: argparse.Namespace) -> None:
    """Search on a fold of the training images; a search that is finished only says so."""
    fold = fold_of(training_images(given.data_root, name), 0)
    run = search_folder(given.work, name, row.name)
    how: dict[str, Any] = {"run": run, "init": "efficientnet_lite0", "sampler": row.sampler}
    how |= {"workers": given.processes, "device": given.device}
    if row.trials_of is not None:
        other = open_run(search_folder(given.work, name, row.trials_of))
        trials = len(other.study().get_trials(states=(TrialState.COMPLETE,)))
        data = _written(given.work / "pictures" / name, fold, write_pictures)
        result = nars.search(data=data, max_macs=MOST_MACS, budget=trials, **how)
    else:
        data = _written(given.work / "data" / name, fold, write)
        result = nars.search(task="detection", data=data, max_macs=row.max_macs, budget=given.budget, **how)
    print(result.summary.to_dict(), flush=True)
    kind = Candidate if row.trials_of else DetectorCandidate
    if row.trials_of is None:
        write_whole(first_file(name, row.name), _first(open_run(run)).to_yaml())
    best = kind.load(run / "best.yaml").replace(data=None)
    write_whole(winner_file(name, row.name), best.to_yaml())  # last: a search that has this file is done


def _first(run: Run) -> Trainable:
    """The candidate that a search trained first."""
    study = run.study()
    return config_of(study).space.decode(study.get_trials(deepcopy=False)[0].params)


def _written(folder: Path, data: CocoData, writer: Callable[[CocoData, Path], None]) -> str:
    """The folder of a data set, written unless it is there."""
    if not folder.exists():
        writer(data, folder)
    return str(folder)


def _file(name: str, row: Row, seed: int) -> Path:
    return RESULTS / f"{name}-{row.name}-{seed}.json"


if __name__ == "__main__":
    main()
