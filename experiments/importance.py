"""Compares ways to choose the channels that a candidate inherits, on sliced networks.

    OMP_NUM_THREADS=1 python -m experiments.importance    # resumable; photos: --data
    python -m experiments.importance --print

The parent is EfficientNet-Lite0 at 96 pixels, fine-tuned on the photos (`experiments.sliced`). Fixed random
candidates of its space inherit from it: eight of which only the hidden channels are cut, eight of which only
the residual streams are, and twelve of 8 to 30 M MACs that are cut in every way. Every way to judge channels
(`experiments.channel_importance`) chooses theirs. The first part is the accuracy and cross entropy on val
after the norms are recalibrated, without any training; the second is the accuracy of four candidates of the
last kind after one epoch of SGD with one seed.

Costs 40 minutes on one core. Expected: without training, Taylor on centred values and the greedy choice are
far ahead of the norms of the weights on hidden channels, and the norms are hardly ahead of random ones.
Leaves ``importance_sliced.csv`` and ``importance_trained.csv`` beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import t
from torch import nn

from experiments.channel_importance import WAYS, Evidence, gathered
from experiments.resumable import work_through
from experiments.sliced import CPU, SHORT, arguments, drawn, opened, space
from nars.networks.build import build
from nars.parents.parent import Parent
from nars.parents.start import start
from nars.space.genotypes import Matrix, sample, to_genotypes
from nars.spec import Architecture
from nars.training.evaluation import evaluate
from nars.training.loop import train

SLICED = Path(__file__).with_name("importance_sliced.csv")
"""A row per cut, way and candidate that is not trained."""

TRAINED = Path(__file__).with_name("importance_trained.csv")
"""A row per way and candidate, and epoch of its training."""

CUTS = {"hidden": ("expansion",), "streams": ("channels",), "all": ("",)}
"""Name -> parts of the names of the dimensions that are not the parent's."""

COUNTS = {"hidden": 8, "streams": 8, "all": 12}
"""Candidates of each cut."""

COMPARED = {
    "hidden": tuple(WAYS),
    "all": ("norms", "taylor, centred", "greedy", "random"),
    "streams": ("norms", "taylor, centred", "random"),
}
"""Cut -> the ways that are measured on it; the greedy one is the centred Taylor for streams."""

RETRAINED = ("norms", "taylor, centred", "greedy", "random")
"""The ways whose choices are trained."""

EPOCHS, TRAININGS = 1, 4
"""Epochs of the trainings, and candidates that are trained."""


@cache
def evidence(source: str, work: Path) -> dict[str, Evidence]:
    return gathered(*opened(source, work))


def candidates(cut: str) -> Matrix:
    """The genotypes of a cut."""
    if cut == "all":
        return drawn(COUNTS[cut], 8e6, 30e6, seed=0)
    is_open = np.array([any(part in name for part in CUTS[cut]) for name in space().distributions])
    random = sample(space(), COUNTS[cut], np.random.default_rng(0), quasi=False)
    return space().canonical(np.where(is_open, random, largest()))


def largest() -> Matrix:
    """The genotype [1, d] of the parent, the largest of its space."""
    unit = np.full((1, len(space().distributions)), 1 - 1e-9)
    return space().canonical(space().dimensions.from_unit(unit))


def sliced(
    genotype: dict[str, object], parent: Parent, source: str, work: Path
) -> tuple[nn.Module, Architecture]:
    """The network of a candidate that has inherited, and what it is."""
    _, data = opened(source, work)
    architecture = space().decode(genotype).architecture
    torch.manual_seed(0)
    model = build(architecture, len(data.classes))
    start(model, architecture, parent, data, CPU)
    return model, architecture


def measure(cut: str, way: str, source: str, work: Path) -> list[dict[str, object]]:
    """The rows of the candidates of a cut, untrained."""
    torch.set_num_threads(1)
    parent, data = opened(source, work)
    rows: list[dict[str, object]] = []
    for number, genotype in enumerate(to_genotypes(space(), candidates(cut))):
        judged = replace(parent, importance=WAYS[way](parent, evidence(source, work), number))
        model, architecture = sliced(genotype, judged, source, work)
        val = evaluate(model, data, "val", resolution=architecture.resolution, device=CPU)
        found = {"accuracy": round(val.accuracy, 4), "loss": round(val.loss, 4)}
        rows.append({"cut": cut, "way": way, "candidate": number, **found})
    return rows


def fine_tune(number: int, way: str, source: str, work: Path) -> list[dict[str, object]]:
    """The rows of a training: the accuracy after every epoch."""
    torch.set_num_threads(1)
    parent, data = opened(source, work)
    judged = replace(parent, importance=WAYS[way](parent, evidence(source, work), number))
    genotype = to_genotypes(space(), candidates("all"))[number]
    model, architecture = sliced(genotype, judged, source, work)
    recipe = SHORT.replace(epochs=EPOCHS)
    trained = train(model, data, recipe, resolution=architecture.resolution, device=CPU, seed=0)
    return [
        {"candidate": number, "way": way, "epoch": each.epoch, "accuracy": round(each.score, 4)}
        for each in trained.curve
    ]


def show() -> None:
    if not SLICED.exists():
        sys.exit(f"nothing to print: {SLICED.name} is made without --print")
    table = pd.read_csv(SLICED)
    _print("val accuracy without training", table.rename(columns={"cut": "group"}), "accuracy")
    _print("cross entropy on val without training", table.rename(columns={"cut": "group"}), "loss")
    if TRAINED.exists():
        trained = pd.read_csv(TRAINED)
        trained["group"] = "epoch " + trained["epoch"].astype(str)
        _print("val accuracy after trainings", trained, "accuracy")


def _print(title: str, table: pd.DataFrame, column: str) -> None:
    """Means by way; in brackets the difference to the norms, with its 95 % interval over candidates."""
    lines: dict[str, dict[str, str]] = {}
    for group in table["group"].unique():
        mine = table[table["group"] == group].pivot(index="candidate", columns="way", values=column)
        for way in mine:
            gain = mine[way] - mine["norms"]
            half = t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
            cell = f"{mine[way].mean():.3f} ({gain.mean():+.3f} ± {half:.3f})"
            lines.setdefault(str(way), {})[f"{group}, {len(gain)}"] = cell
    order = [way for way in WAYS if way in lines]
    print(f"\n{title}\n{pd.DataFrame(lines).T.loc[order].to_string()}")


def main(arguments_given: Sequence[str] | None = None) -> None:
    options = arguments((__doc__ or "").splitlines()[0]).parse_args(arguments_given)
    if not options.only_print:
        opened(options.data, options.work)
        given = {"source": options.data, "work": options.work}
        jobs = [(cut, way) for cut, ways in COMPARED.items() for way in ways]
        work_through(SLICED, ("cut", "way"), jobs, partial(measure, **given), 1)
        trainings = [(number, way) for number in range(TRAININGS) for way in RETRAINED]
        work_through(TRAINED, ("candidate", "way"), trainings, partial(fine_tune, **given), 1)
    show()


if __name__ == "__main__":
    main()
