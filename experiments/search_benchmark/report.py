"""Makes tables and pictures of what `run` measured.

    python -m experiments.search_benchmark.report --out build/report

Writes ``report.md`` (ranks, regrets, trainings until random search is equalled, stalls, seconds) and one
regret curve per task as PNG. Costs seconds and runs no search. Expected: the tables of README.md.

Ranks and regrets are means over the seeds that all opponents have on every task at a budget. Slow
opponents are left out there; each is compared separately, on the tasks, seeds and budgets that it has.
Intervals are 95 % normal intervals over seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

mpl.use("Agg")
import matplotlib.pyplot as plt

from experiments.search_benchmark.opponents import OPPONENTS
from experiments.search_benchmark.problem import Array, Task
from experiments.search_benchmark.reference import Reference, reference
from experiments.search_benchmark.run import BUDGETS, CACHE, RESULTS, Row, read_rows
from experiments.search_benchmark.tasks import DEFAULT_DATA, HELD_OUT, TASKS, available, load
from nars.errors import NarsError, UsageError

__all__ = [
    "ablation_table",
    "balanced",
    "beside",
    "first_reaching",
    "leaders_table",
    "ranks",
    "regrets",
    "stalls_table",
    "value_at",
    "write",
]

VARIANTS = [name for name, opponent in OPPONENTS.items() if opponent.variant]
"""Names of the ablations of nars."""

SLOW = [name for name, opponent in OPPONENTS.items() if opponent.slow]
"""Names of the opponents that run fewer seeds or smaller budgets."""


def value_at(row: Row, count: int) -> float:
    """The value of a run's incumbent after `count` trainings."""
    pairs = [pair.split(":") for pair in row.curve.split()]
    return next((float(value) for n, value in reversed(pairs) if int(n) <= count), np.nan)


def regret_at(row: Row, count: int, task: Task, known: Reference) -> float:
    """Normalized regret: 0 is the best known; 1 is a typical random candidate or, for fronts, no front."""
    value = value_at(row, count)
    return known.regret(value) if task.problem.cost is None else 1 - value


def regrets(results: Path, tasks: Sequence[Task], budgets: Iterable[int] = BUDGETS) -> pd.DataFrame:
    """One line per task, opponent, seed and budget that was run, with its ``regret``."""
    lines = []
    for task in tasks:
        known = reference(task, CACHE)
        rows = read_rows(results / f"{task.name}.csv")
        for budget in budgets:
            for row in rows:
                if budget <= row.budget:
                    value = regret_at(row, budget, task, known)
                    lines.append((task.name, row.opponent, row.seed, budget, value))
    frame = pd.DataFrame(lines, columns=["task", "opponent", "seed", "budget", "regret"])
    return frame.drop_duplicates(["task", "opponent", "seed", "budget"])


def ranks(frame: pd.DataFrame) -> pd.DataFrame:
    """The `frame` of `regrets` with a column ``rank``, on seeds that all opponents have; ties share ranks."""
    parts = []
    for _, part in frame.groupby(["task", "budget"]):
        wide = part.pivot_table(index="seed", columns="opponent", values="regret").dropna()
        rank = wide.rank(axis=1).reset_index().melt("seed", var_name="opponent", value_name="rank")
        parts.append(rank.merge(part, on=["seed", "opponent"]))
    return pd.concat(parts, ignore_index=True) if parts else frame.assign(rank=np.nan)


def balanced(frame: pd.DataFrame) -> pd.DataFrame:
    """The lines of the seeds that every task has at a budget; only their means over tasks are comparable.

    If no seed is complete, all lines.
    """
    tasks = frame.groupby(["budget", "seed"])["task"].transform("nunique")
    whole = frame[tasks == frame.groupby("budget")["task"].transform("nunique")]
    return whole if len(whole) else frame


def first_reaching(rows: Sequence[Row], target: float) -> Array:
    """Trainings [n] until each run's incumbent is `target` or better; inf if it never is."""
    return np.array([next((float(n) for n, value in _pairs(row) if value >= target), np.inf) for row in rows])


def _pairs(row: Row) -> list[tuple[int, float]]:
    return [(int(n), float(value)) for n, value in (pair.split(":") for pair in row.curve.split())]


def interval(frame: pd.DataFrame, column: str) -> str:
    """Mean over seeds, with half of its 95 % interval, of each seed's mean over tasks."""
    means = frame.groupby("seed")[column].mean()
    half = 1.96 * means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.nan
    return f"{means.mean():.3f} ± {half:.3f}"


def budget_table(frame: pd.DataFrame, column: str) -> str:
    """Means of a column: a line per opponent, a cell per budget."""
    budgets = sorted(frame["budget"].unique())
    lines = []
    for name in _ordered(frame, column):
        cells = []
        for budget in budgets:
            part = frame[(frame["opponent"] == name) & (frame["budget"] == budget)]
            cells.append(interval(part, column) if len(part) else "")
        lines.append([name, *cells])
    return _markdown(["", *map(str, budgets)], lines)


def _ordered(frame: pd.DataFrame, column: str) -> list[str]:
    return list(frame.groupby("opponent")[column].mean().sort_values().index)


def targets_table(results: Path, tasks: Sequence[Task]) -> str:
    """Median trainings until the incumbent equals random search's expected best of N."""
    lines = []
    for task in tasks:
        if task.problem.cost is not None:
            continue
        known = reference(task, CACHE)
        rows = read_rows(results / f"{task.name}.csv")
        for name in OPPONENTS:
            longest = max((row.budget for row in rows if row.opponent == name), default=0)
            mine = [row for row in rows if row.opponent == name and row.budget == longest]
            if mine:
                medians = (np.median(first_reaching(mine, goal)) for goal in known.random_best_of.values())
                cells = [f"{count:.0f}" if np.isfinite(count) else f"> {longest}" for count in medians]
                lines.append([task.name, name, str(len(mine)), *cells])
    return _markdown(["task", "opponent", "seeds", "best of 256", "1000", "10 000"], lines)


def ablation_table(frame: pd.DataFrame) -> str:
    """`nars` and its variants on the tasks and seeds that all of them have, and how often each is better."""
    mine = frame[frame["opponent"].isin([*VARIANTS, "nars"])]
    if set(mine["opponent"]) <= {"nars"}:
        return "none was run\n"
    wide = mine.pivot_table(index=["task", "seed", "budget"], columns="opponent", values="regret").dropna()
    shared = wide.reset_index().melt(["task", "seed", "budget"], var_name="opponent", value_name="regret")
    longest = max(shared["budget"])
    last = wide.xs(longest, level="budget")
    gains = -last.sub(last["nars"], axis=0).drop(columns="nars").round(9)
    shares = [
        [str(name), f"{(gain < 0).mean():.2f}", f"{(gain > 0).mean():.2f}"] for name, gain in gains.items()
    ]
    title = f"Shares of the {len(last)} runs that are worse and better than nars after {longest}\n"
    return "\n".join([budget_table(shared, "regret"), title, _markdown(["", "worse", "better"], shares)])


def leaders_table(frame: pd.DataFrame) -> str:
    """The opponent with the least mean regret on each task, and the number of tasks that `nars` leads.

    A cell has the leader and its regret and, if the leader is another opponent, the regret of `nars`. A tie
    goes to the first by name.
    """
    budgets = sorted(frame["budget"].unique())
    led = dict.fromkeys(budgets, 0)
    lines = []
    for task, part in frame.groupby("task"):
        means = part.pivot_table(index="opponent", columns="budget", values="regret").round(9)
        cells = []
        for budget in budgets:
            leader = str(means[budget].idxmin())
            led[budget] += leader == "nars"
            others = f" (nars {means.loc['nars', budget]:.3f})" if leader != "nars" else ""
            cells.append(f"{leader} {means.loc[leader, budget]:.3f}{others}")
        lines.append([str(task), *cells])
    lines.append(["nars first", *(f"{count} of {len(lines)}" for count in led.values())])
    return _markdown(["", *map(str, budgets)], lines)


def beside(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A slow opponent and all fast ones, ranked on the tasks, seeds and budgets that it has."""
    runs = frame.loc[frame["opponent"] == name, ["task", "seed", "budget"]]
    return balanced(ranks(frame[~frame["opponent"].isin({*SLOW} - {name})].merge(runs)))


def stalls_table(frame: pd.DataFrame) -> str:
    """Shares of runs that are better, the same and worse at the largest budget than at half of it.

    A run can get worse because observations have noise: the best observed candidate may not be the best. The
    mean regret at the half shows how much was left to gain.
    """
    wide = frame.pivot_table(index=["task", "opponent", "seed"], columns="budget", values="regret")
    last = max(frame["budget"])
    if last // 2 not in wide:
        return "needs a budget and its half\n"
    pairs = wide[[last // 2, last]].dropna()
    gain = (pairs[last // 2] - pairs[last]).round(9)
    shares = pd.DataFrame({"better": gain > 0, "same": gain == 0, "worse": gain < 0}).astype(float)
    shares["regret"] = pairs[last // 2]
    means = shares.groupby("opponent").mean().sort_values("better", ascending=False)
    head = ["", f"better at {last} than at {last // 2}", "same", "worse", f"regret at {last // 2}"]
    return _markdown(head, [[name, *(f"{value:.2f}" for value in row)] for name, *row in means.itertuples()])


def seconds_table(results: Path, tasks: Sequence[Task]) -> str:
    """Mean seconds per training that each opponent spent, and its proposals beyond a limit."""
    rows = [row for task in tasks for row in read_rows(results / f"{task.name}.csv")]
    lines = []
    for name in OPPONENTS:
        mine = [row for row in rows if row.opponent == name]
        if mine:
            trainings = sum(row.budget for row in mine)
            spent = sum(row.seconds for row in mine)
            rejected = sum(row.rejected for row in mine)
            lines.append([name, f"{spent / trainings:.4f}", f"{rejected / trainings:.2f}", f"{spent:.0f}"])
    return _markdown(["", "seconds", "rejected", "seconds in total"], lines)


def curves(results: Path, task: Task, out: Path) -> None:
    """Draw mean regret over seeds against trainings, with 95 % intervals."""
    known, rows = reference(task, CACHE), read_rows(results / f"{task.name}.csv")
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for index, name in enumerate(OPPONENTS):
        longest = max((row.budget for row in rows if row.opponent == name), default=0)
        mine = [row for row in rows if row.opponent == name and row.budget == longest]
        if not mine:
            continue
        counts = np.unique(np.geomspace(8, longest, 40).astype(int))
        values = np.array([[regret_at(row, n, task, known) for n in counts] for row in mine])
        mean, half = values.mean(axis=0), 1.96 * values.std(axis=0) / np.sqrt(len(mine))
        style = ("-", "--", ":")[index // 10]
        (line,) = axes.plot(counts, mean, style, label=name)
        axes.fill_between(counts, mean - half, mean + half, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel="trained candidates", ylabel="normalized regret")
    axes.set_title(f"{task.name}: mean and 95 % interval over seeds")
    axes.legend(fontsize=7, ncols=2)
    figure.tight_layout()
    figure.savefig(out / f"{task.name}.png", dpi=110)
    plt.close(figure)


def write(results: Path, out: Path, tasks: Sequence[Task]) -> str:
    """Write the report as Markdown and its pictures to `out`; return the text.

    Raises `UsageError` if nothing was run.
    """
    every = regrets(results, tasks)
    if every.empty:
        raise UsageError(
            f"no searches of these tasks in {results}: run experiments.search_benchmark.run first"
        )
    out.mkdir(parents=True, exist_ok=True)
    opponents = every[~every["opponent"].isin(VARIANTS)]
    frame = balanced(ranks(opponents[~opponents["opponent"].isin(SLOW)]))
    halves: dict[str, Callable[[pd.Series], pd.Series]] = {
        "All tasks": lambda names: names.notna(),
        "Open half": lambda names: ~names.isin(HELD_OUT),
        "Held-out half": lambda names: names.isin(HELD_OUT),
    }
    parts = ["# Search benchmark\n"]
    for title, chosen in halves.items():
        some = frame[chosen(frame["task"])]
        if len(some):
            parts += [f"## {title} ({_extent(some)})\n", "Mean rank\n", budget_table(some, "rank")]
            parts += ["Normalized regret\n", budget_table(some, "regret")]
    for name, (title, chosen) in product(SLOW, halves.items()):
        some = beside(opponents[chosen(opponents["task"])], name)
        if len(some):
            parts += [f"## {title} where {name} was run ({_extent(some)})\n"]
            parts += ["Mean rank\n", budget_table(some, "rank")]
            parts += ["Normalized regret\n", budget_table(some, "regret")]
    two = frame[frame["task"].isin([task.name for task in tasks if task.problem.cost is not None])]
    if len(two):
        parts += ["## Two objectives: hypervolume lost\n", budget_table(two, "regret")]
    parts += ["## The least mean regret on each task\n", leaders_table(frame)]
    parts += ["## Trainings until random search's expected best is equalled (median)\n"]
    parts += [targets_table(results, tasks), "## Stalls\n", stalls_table(frame)]
    parts += ["## Seconds per training spent in proposing\n", seconds_table(results, tasks)]
    parts += ["## Ablations of nars: normalized regret\n", ablation_table(every)]
    text = "\n".join(parts)
    (out / "report.md").write_text(text)
    for task in tasks:
        curves(results, task, out)
    return text


def _extent(frame: pd.DataFrame) -> str:
    return f"{frame['task'].nunique()} tasks, {frame['seed'].nunique()} seeds"


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the CSVs")
    parser.add_argument("--out", type=Path, default=CACHE / "report", help="folder of the report")
    parser.add_argument("--data-root", type=Path, default=DEFAULT_DATA, help="folder of nas/")
    parser.add_argument("--only", nargs="+", default=TASKS, metavar="TASK", choices=TASKS, help="tasks")
    options = parser.parse_args()
    names = [name for name in options.only if read_rows(options.results / f"{name}.csv")]
    names, missing = available(names, options.data_root)
    for name, reason in missing.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
    print(write(options.results, options.out, [load(name, options.data_root) for name in names]))


if __name__ == "__main__":
    try:
        main()
    except NarsError as error:
        sys.exit(f"error: {error}")
