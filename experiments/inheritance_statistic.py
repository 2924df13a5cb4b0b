"""Does what a candidate keeps of its parent, before it is trained, tell how good it will be?

    OMP_NUM_THREADS=1 python -m experiments.inheritance_statistic    # resumable; photos: --data
    python -m experiments.inheritance_statistic --candidates 80       # enough for 50 labels
    python -m experiments.inheritance_statistic --print

Fixed random candidates of the space of EfficientNet-Lite0 at 96 pixels, all of at most 32 M MACs, inherit
from it as fine-tuned on the photos (`experiments.sliced`), get the statistics of `nars.parents.statistic` on
256 training images, and train for one epoch with one recipe and one seed. The score is the accuracy on val
and test together (713 photos). Further candidates get the statistics alone.

The table shows how well each statistic ranks candidates (Kendall's tau, 95 % by bootstrap over candidates),
and how well the Gaussian process of nars ranks those that are not labelled, for 40 random choices of 8, 16,
20 and 50 labelled ones, if seven others are left to rank: with MACs and parameters alone, with a statistic
that is measured for every candidate, and with its prediction from the further candidates, since it is too
slow to measure for all proposals. The process takes it for the lesson of an earlier search, as
`nars.workers.foretold` does; MACs given in the same way are the control.

Costs half an hour on one core, and three times as long with 80 candidates. Leaves
``inheritance_statistic.csv``, ``inheritance_statistic_untrained.csv`` and ``inheritance_statistic_tau.csv``
beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau
from torch import nn

from experiments.channel_importance import WAYS, gathered
from experiments.resumable import work_through
from experiments.sliced import CPU, SHORT, arguments, drawn, opened, space
from nars.networks.build import build
from nars.parents.parent import Parent
from nars.parents.start import start
from nars.parents.statistic import Answers, answers, answers_of, kept
from nars.predictors.gaussian import GaussianPredictor
from nars.predictors.knowledge import EarlierSearch, Knowledge
from nars.space.genotypes import Matrix, to_genotypes
from nars.spec import Architecture
from nars.training.evaluation import evaluate
from nars.training.loop import train

TRAINED = Path(__file__).with_suffix(".csv")
"""A row per trained candidate: statistics, and accuracy after every epoch."""

UNTRAINED = Path(__file__).with_name("inheritance_statistic_untrained.csv")
"""A row per candidate with statistics alone."""

TAUS = Path(__file__).with_name("inheritance_statistic_tau.csv")
"""A row per predictor, statistic, number of labels and choice of labels."""

MOST_MACS = 32e6
"""The limit that all candidates keep."""

MODELLED = (64, 100)
"""Numbers of further candidates that a statistic is predicted from; a search measures the first."""

BAND = 8e6
"""MACs from which candidates are ranked a second time, by themselves."""

COUNT, FURTHER = 27, 100
"""Candidates that are trained unless ``--candidates`` says more, and that have statistics alone."""

FEWEST = 7
"""Candidates without a label that a tau is of at least."""

EPOCHS = 1
"""Epochs of a training."""

LABELS, REPEATS = (8, 16, 20, 50), 40
"""Numbers of labels, and random choices of the labelled candidates."""

STATISTICS = {"accuracy": 1, "loss": -1, "divergence": -1, "probe": 1, "echo": 1, "similarity": 1}
"""Name -> whether more or less is better."""

GIVEN = ("none", "macs", "loss", "divergence", "probe", "echo", "similarity")
"""Statistics that predictors are given."""

Floats = NDArray[np.float64]


@cache
def candidates(count: int = COUNT) -> Matrix:
    """The genotypes [count, d] of those that are trained; the first are the same for every count."""
    return drawn(count, 0, MOST_MACS, seed=1)


@cache
def further() -> Matrix:
    """The genotypes [FURTHER, d] of those that are not."""
    return drawn(FURTHER, 0, MOST_MACS, seed=2)


def inherited(row: Matrix, source: str, work: Path) -> tuple[nn.Module, Architecture, dict[str, float]]:
    """The network of a candidate that has inherited, what it is, and its statistics."""
    torch.set_num_threads(1)
    _, data = opened(source, work)
    (genotype,) = to_genotypes(space(), row)
    architecture = space().decode(genotype).architecture
    torch.manual_seed(0)
    model = build(architecture, len(data.classes))
    start(model, architecture, _judged(source, work), data, CPU)
    child = answers(model, data, resolution=architecture.resolution, device=CPU)
    found = kept(child, _parents_answers(source, work))
    return model, architecture, {name: round(value, 5) for name, value in asdict(found).items()}


@cache
def _judged(source: str, work: Path) -> Parent:
    """The parent with the importance of its channels by one of the ways of `experiments.importance`."""
    parent, data = opened(source, work)
    return replace(parent, importance=WAYS["taylor, centred"](parent, gathered(parent, data), 0))


@cache
def _parents_answers(source: str, work: Path) -> Answers:
    return answers_of(*opened(source, work), CPU)


def describe(number: int, source: str, work: Path) -> list[dict[str, object]]:
    return [{"candidate": number, **inherited(further()[[number]], source, work)[2]}]


def fine_tune(number: int, source: str, work: Path) -> list[dict[str, object]]:
    """The row of a candidate that is trained."""
    genotype = candidates(number + 1)[[number]]
    model, architecture, statistics = inherited(genotype, source, work)
    data = opened(source, work)[1]
    trained = train(
        model, data, SHORT.replace(epochs=EPOCHS), resolution=architecture.resolution, device=CPU, seed=0
    )
    test = evaluate(trained.model, data, "test", resolution=architecture.resolution, device=CPU)
    right = trained.val.accuracy * trained.val.images + test.accuracy * test.images
    score = right / (trained.val.images + test.images)
    cost = {name: int(values[0]) for name, values in space().statistics(genotype).items()}
    seconds = round(trained.curve[-1].seconds, 1)
    return [{"candidate": number, **cost, **statistics, "score": round(score, 4), "seconds": seconds}]


def known(name: str, file: Path, matrix: Matrix) -> Floats:
    """A statistic of the candidates of a file, whose genotypes are `matrix`; larger is better.

    MACs, losses and divergences are given by their logarithm.
    """
    if name == "macs":
        return np.asarray(np.log(space().statistics(matrix)["macs"]))
    values = pd.read_csv(file).sort_values("candidate")[name].to_numpy(np.float64)[: len(matrix)]
    return np.asarray(-np.log(values) if STATISTICS[name] < 0 else values)


class Measured:
    """The statistic of measured candidates; others, which only set the scale, get one of these at random."""

    def __init__(self, rows: Matrix, values: Floats) -> None:
        self.values = values
        self.known = {row.tobytes(): value for row, value in zip(rows, values, strict=True)}

    def __call__(self, matrix: Matrix) -> Floats:
        rng = np.random.default_rng(0)
        return np.array([[self.known.get(row.tobytes(), rng.choice(self.values))] for row in matrix])


def modelled(rows: Matrix, values: Floats) -> Knowledge:
    """A prediction of the statistic, as that of an earlier search is made from its scores."""
    genotypes = tuple(to_genotypes(space(), rows))
    return Knowledge(
        space(), [EarlierSearch(run="inherited", genotypes=genotypes, scores=tuple(values.tolist()))]
    )


Ranker = Callable[[Matrix, Floats, Matrix], Floats]
"""Predicts the scores of other candidates from labelled ones."""


def rank_all(name: str, count: int, labels: int) -> list[dict[str, object]]:
    """The rows of a statistic for the first `count` candidates: tau with the scores of unlabelled ones."""
    torch.set_num_threads(1)
    x, scores = candidates(count), trained(count)["score"].to_numpy()
    rows: list[dict[str, object]] = []
    for kind, ranker in _rankers(name, count).items():
        for repeat in range(REPEATS):
            order = np.random.default_rng(repeat).permutation(len(x))
            chosen, others = order[:labels], order[labels:]
            predicted = ranker(x[chosen], scores[chosen], x[others])
            tau = round(float(kendalltau(predicted, scores[others]).statistic), 4)
            row = {"statistic": name, "candidates": count, "predictor": kind, "labels": labels}
            rows.append({**row, "repeat": repeat, "tau": tau})
    return rows


def trained(count: int) -> pd.DataFrame:
    """The rows of the first `count` candidates that were trained."""
    return pd.read_csv(TRAINED).sort_values("candidate").head(count)


def _rankers(name: str, count: int) -> dict[str, Ranker]:
    if name == "none":
        return {"bare": ranker(None)}
    measured = Measured(candidates(count), known(name, TRAINED, candidates(count)))
    values = known(name, UNTRAINED, further())
    each: dict[str, Callable[[Matrix], Floats]] = {"measured": measured}
    each |= {f"modelled from {count}": modelled(further()[:count], values[:count]) for count in MODELLED}
    return {kind: ranker(knowledge) for kind, knowledge in each.items()}


def ranker(knowledge: Callable[[Matrix], Floats] | None) -> Ranker:
    """The Gaussian process of nars with what is known of every candidate."""
    return partial(_process, knowledge)


def _process(knowledge: Callable[[Matrix], Floats] | None, x: Matrix, y: Floats, others: Matrix) -> Floats:
    return np.asarray(GaussianPredictor(space(), knowledge=knowledge).fit(x, y).predict(others))


def show() -> None:
    if not TRAINED.exists():
        sys.exit(f"nothing to print: {TRAINED.name} is made without --print")
    table = pd.read_csv(TRAINED)
    score = table["score"]
    print(f"{len(table)} candidates, score {score.mean():.3f} (deviation {score.std():.3f})")
    for title, part in (("all", table), (f"{BAND / 1e6:.0f} M MACs or more", table[table["macs"] >= BAND])):
        print(f"\ntau alone, {title}: {len(part)} candidates")
        for name in ("macs", "params", *STATISTICS):
            _print_tau(name, part[name].to_numpy() * STATISTICS.get(name, 1), part["score"].to_numpy())
    for count, taus in pd.read_csv(TAUS).groupby("candidates") if TAUS.exists() else ():
        print(f"\n{count} candidates, taus of those without a label")
        _print_gains(taus)


def _print_tau(name: str, values: Floats, scores: Floats) -> None:
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(values), size=len(values)) for _ in range(1000)]
    low, high = np.quantile(
        [kendalltau(values[draw], scores[draw]).statistic for draw in draws], [0.025, 0.975]
    )
    print(f"{name:12s} {kendalltau(values, scores).statistic:.2f} ({low:.2f} to {high:.2f})")


def _print_gains(taus: pd.DataFrame) -> None:
    """Means over the choices of labels; in brackets the gain over none, and its deviation over choices."""
    for kind in taus["predictor"].unique():
        wide = taus[taus["predictor"] == kind].pivot(
            index="repeat", columns=["statistic", "labels"], values="tau"
        )
        bare = taus[taus["statistic"] == "none"]
        none = bare.pivot(index="repeat", columns="labels", values="tau")
        print(f"\n{kind}")
        for name in wide.columns.get_level_values(0).unique():
            cells = []
            for count in sorted(wide[name].columns):
                gain = wide[name][count] - none[count]
                cells.append(
                    f"{count} labels {wide[name][count].mean():.2f} ({gain.mean():+.2f}, {gain.std():.2f})"
                )
            print(f"{name:12s} {'; '.join(cells)}")


def main(given: Sequence[str] | None = None) -> None:
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=COUNT, help="candidates that are trained")
    options = parser.parse_args(given)
    if not options.only_print:
        opened(options.data, options.work)
        place = {"source": options.data, "work": options.work}
        numbers = [(number,) for number in range(options.candidates)]
        work_through(TRAINED, ("candidate",), numbers, partial(fine_tune, **place), 1)
        untrained = [(number,) for number in range(FURTHER)]
        work_through(UNTRAINED, ("candidate",), untrained, partial(describe, **place), 1)
        labels = [count for count in LABELS if options.candidates - count >= FEWEST]
        ranked = [(name, options.candidates, count) for name in GIVEN for count in labels]
        work_through(TAUS, ("statistic", "candidates", "labels"), ranked, rank_all, 1)
    show()


if __name__ == "__main__":
    main()
