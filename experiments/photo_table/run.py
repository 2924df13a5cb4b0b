"""Make the rows of the table: searches one after the other on all cores, final trainings on one core each."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import nars
from experiments.photo_table.networks import stock
from experiments.photo_table.photos import resplit
from experiments.photo_table.rows import RESPLITS, ROWS, WORKERS, Row, name_of
from experiments.photo_table.train import final, run_folder
from experiments.resumable import workers
from nars.parents.space import space_of
from search_spaces import published

SIDE = 160
"""Side of the photos in pixels."""

RESULTS = Path(__file__).parent / "rows"
"""A file for every row and resplit that is done."""


def main() -> None:
    """Make what is missing, resplit by resplit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cls/clothing_photos"))
    parser.add_argument("--work", type=Path, default=Path("runs/photo_table"), help="folder of what is kept")
    parser.add_argument("--processes", type=int, default=WORKERS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--share", type=float, default=1, help="of the time of two cores that a search has; .05 on a GPU"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--only-search", action="store_true", help="leave the final trainings to later")
    only.add_argument("--only-final", action="store_true", help="leave out the rows that need a search yet")
    parser.add_argument("--resplits", type=int, nargs="*", default=list(RESPLITS))
    parser.add_argument("--rows", nargs="*", help="names such as searched-32M; by default all")
    given = parser.parse_args()
    for seed in given.resplits:
        rows = [
            row for row in ROWS if seed in row.resplits and (not given.rows or name_of(row) in given.rows)
        ]
        searched = [row for row in rows if row.search and not _file(row, seed).exists()]
        if given.only_final:
            rows = [row for row in rows if row not in searched or _has_winner(row, seed, given.work)]
        else:
            for row in searched:
                _search(row, seed, given)
        if given.only_search:
            continue
        with workers(given.processes) as pool:
            jobs = [
                pool.submit(final, row, seed, given.data, given.work, _file(row, seed), given.device)
                for row in rows
                if not _file(row, seed).exists()
            ]
            for job in jobs:
                job.result()
                print(f"resplit {seed}: {sum(file.exists() for file in _files(seed))} rows", flush=True)


def _file(row: Row, seed: int) -> Path:
    return RESULTS / f"{name_of(row)}-{seed}.json"


def _files(seed: int) -> Iterator[Path]:
    return (_file(row, seed) for row in ROWS)


def _has_winner(row: Row, seed: int, work: Path) -> bool:
    return (run_folder(row, seed, work) / "best.yaml").exists()


def _search(row: Row, seed: int, given: argparse.Namespace) -> None:
    """Run the search of a row, or continue it."""
    settings, work = dict(row.search), given.work
    settings["budget"] = f"{60 * settings['budget'] * given.share * WORKERS / given.processes:.0f}s"
    work.mkdir(parents=True, exist_ok=True)
    if settings.get("init") == "none":  # the space is the same as with the parent
        space = space_of(published("efficientnet_lite0"), SIDE, row.limit)
        (work / "space.yaml").write_text(space.to_yaml())
        settings["space"] = work / "space.yaml"
    if settings.pop("fix", None):
        (work / "stock.yaml").write_text(stock(64).to_yaml())
        settings["fix"] = f"arch={work / 'stock.yaml'}"
    folder = run_folder(row, seed, work)
    result = nars.search(
        run=folder,
        workers=given.processes,
        data=str(resplit(given.data, seed, work)),
        max_macs=row.limit,
        seed=seed,
        device=given.device,
        **settings,
    )
    print(f"{folder}: {result.summary.to_dict()}", flush=True)


if __name__ == "__main__":
    main()
