"""Should a smaller detector have fewer channels or see smaller images, and which channels should it keep?

    OMP_NUM_THREADS=1 python -m experiments.detector_cuts --untrained      # minutes
    OMP_NUM_THREADS=1 python -m experiments.detector_cuts                  # resumable
    python -m experiments.detector_cuts --print

EfficientNet-Lite0 as a detector is fine-tuned on two thirds of the *training* images of a set, as the
reference of a search is, and cut to a limit at every size of images, with all blocks, one block in each of
the later rows, or one in each row (`nars.parents.space.cuts`). A cut inherits from it the channels with the
largest weights, or those that matter most for the data (`detector.training.start.judging`), and is measured
on the last third of the training images: untrained, with its norms recalibrated, and after the training of
the first candidates of a search. val is not opened.

Rows go to ``detector_cuts.csv`` beside this file. Costs twenty minutes of one core for the reference and an
hour for the trainings of each set.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from detector.evaluation.loop import evaluate
from detector.space.planned import plan_candidate
from detector.space.space import DetectorSpace
from detector.training.start import started
from experiments.detector_options import parsed, parser_of
from experiments.detector_proxy import opened, refer, space_of
from experiments.resumable import work_through, workers
from nars.parents.space import Cut, cuts

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per set, cut and what was done."""

WORK = Path("runs/detector_cuts")
"""The references, a file for each set."""

MOST_MACS = 400e6
"""The limit."""

FOLD = 0
"""The third of the training images that is measured on."""

UNTRAINED, TRAINED = ("by weights", "judged"), "trained"
"""How the channels of an untrained cut were chosen; those of a trained one are judged."""

KEY = ("set", "cut", "done")


def cuts_of(root: Path, device: str, name: str) -> list[tuple[DetectorSpace, Cut]]:
    """The cuts within the limit, with their space."""
    task, space = opened(root, name, FOLD, device), space_of(root, name, device, MOST_MACS)
    wholes = task.wholes(space, task.reference(space, None))
    return [(space, cut) for cut in cuts(space, wholes, space, {"macs": MOST_MACS})]


def measured(root: Path, work: Path, device: str, name: str, number: int, done: str) -> list[dict[str, Any]]:
    """Measure one cut; return its row."""
    torch.set_num_threads(1)
    space, cut = cuts_of(root, device, name)[number]
    candidate = space.decode(cut.genotype)
    task = opened(root, name, FOLD, device)
    parent = task.parent_in(work / f"{name}-{FOLD}.pt")
    row = {"set": name, "cut": number, "done": done, "side": max(candidate.settings.shortest)}
    row |= {"depth": cut.depth, "share": round(cut.share, 2)}
    row |= {"proposals": candidate.settings.test_proposals, "macs": task.costs(candidate)["macs"]}
    if done == TRAINED:
        metrics = task.inheriting(parent).run(candidate, seed=number).metrics
    else:
        if done == UNTRAINED[0]:
            parent = replace(parent, importance={"no channel": torch.zeros(0)})  # so none is judged
        planned = plan_candidate(candidate, task.data, task.device, parent=parent)
        model = started(planned, task.data, task.device, seed=number)
        boxes = evaluate(model, task.data, device=task.device).boxes
        metrics = {"ap": boxes.ap, "ap50": boxes.ap50}
    return [row | {score: round(metrics[score], 4) for score in ("ap", "ap50")}]


def main() -> None:
    parser = parser_of(__doc__, WORK, sets=["raccoon"])
    parser.add_argument("--untrained", action="store_true", help="leave the trainings out")
    given = parsed(parser)
    if not given.only_print:
        root, ways = given.data_root, UNTRAINED if given.untrained else (*UNTRAINED, TRAINED)
        how = (root, given.work, given.device)
        with workers(given.processes) as pool:
            for job in [pool.submit(refer, *how, name, FOLD, MOST_MACS) for name in given.sets]:
                job.result()
        numbers = {name: range(len(cuts_of(root, given.device, name))) for name in given.sets}
        jobs = [(name, number, way) for name in given.sets for way in ways for number in numbers[name]]
        work_through(RESULTS, KEY, jobs, partial(measured, *how), given.processes)
    show(pd.read_csv(RESULTS))


def show(rows: pd.DataFrame) -> None:
    """Print AP (AP50) of every cut."""
    rows["score"] = rows.ap.map("{:.3f}".format) + rows.ap50.map(" ({:.3f})".format)
    cut = ["set", "side", "depth", "share", "proposals", "macs"]
    print(rows.pivot(index=cut, columns="done", values="score").to_string())


if __name__ == "__main__":
    main()
