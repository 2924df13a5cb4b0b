"""``nars search`` and ``nars worker``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nars.cli.values import AMOUNT, DURATION, data_option, device_option, json_option, quiet_optuna, to_json

if TYPE_CHECKING:
    from nars.searching.config import SearchConfig


@click.command()
@click.option(
    "--budget", default="64", show_default=True, help="Trials (64), a time (30m, 2h) or epochs (500ep)."
)
@click.option("--space", default="micro", show_default=True, help="micro, fbnetv3, or your own .yaml file.")
@data_option
@click.option("--task", default="classification", show_default=True, help="What a candidate is trained for.")
@click.option("--max-macs", type=AMOUNT, help="Multiply-accumulates per image at most, such as 60M.")
@click.option("--max-params", type=AMOUNT, help="Parameters at most, such as 2M.")
@click.option("--max-latency", type=DURATION, help="Time per image on this machine at most, such as 5ms.")
@click.option("--objective", default=None, help="accuracy, or a front such as accuracy,macs.")
@click.option(
    "--sampler", default="nars", show_default=True, help="nars, random, qmc, tpe, nsga2, nsga3, gp, cmaes."
)
@click.option(
    "--predictor",
    type=click.Choice(["gaussian", "ensemble"]),
    default="gaussian",
    show_default=True,
    help="What guides the sampler nars: a Gaussian process, or networks pretrained on MACs and parameters.",
)
@click.option(
    "--warm-start",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Learn from this run folder: the same space, other data or limits.",
)
@click.option(
    "--pruner", default="none", show_default=True, help="none, median, percentile, hyperband, halving."
)
@click.option("--early-stopping/--no-early-stopping", default=True, show_default=True)
@click.option(
    "--fix", multiple=True, metavar="PART=FILE", help="Hold recipe=FILE or arch=FILE, search the rest."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; by default one per GPU or core.")
@click.option("--storage", help="Any Optuna storage URL instead of the run folder's journal.")
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), help="Run folder; by default made from the settings."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Refuse to start a new search.")
@click.option("--drop-bad", is_flag=True, help="Go on without images that cannot be read.")
@click.option("--dry-run", is_flag=True, help="Only say what the limits leave of the space.")
@device_option
@json_option
def search(
    budget: str,
    space: str,
    data: str,
    task: str,
    max_macs: float | None,
    max_params: float | None,
    max_latency: float | None,
    objective: str | None,
    sampler: str,
    predictor: str,
    warm_start: tuple[Path, ...],
    pruner: str,
    early_stopping: bool,
    fix: tuple[str, ...],
    workers: int | None,
    storage: str | None,
    folder: Path | None,
    seed: int,
    resume: bool,
    drop_bad: bool,
    dry_run: bool,
    device: str,
    as_json: bool,
) -> None:
    """Search architecture and recipe together; the winner goes to the run folder.

    The same command again goes on where the search was left. Its budget may have grown.

    Example: nars search --budget 64 --data photos/ --max-macs 8M
    """
    from nars.searching.configure import configure

    quiet_optuna()
    limits = {"macs": max_macs, "params": max_params, "latency": max_latency}
    config = configure(
        space=space,
        fix=fix,
        task=task,
        data=data,
        objectives=objective,
        limits={name: limit for name, limit in limits.items() if limit is not None},
        warm_start=warm_start,
        options={
            "budget": budget,
            "sampler": sampler,
            "predictor": predictor,
            "pruner": pruner,
            "early_stopping": early_stopping,
            "seed": seed,
            "drop_bad": drop_bad,
            "device": device,
        },
    )
    _run(config, folder, storage, resume, dry_run, workers, as_json)


def _run(
    config: SearchConfig,
    folder: Path | None,
    storage: str | None,
    resume: bool,
    dry_run: bool,
    workers: int | None,
    json: bool,
) -> None:
    from nars.api import search
    from nars.cli import display
    from nars.searching.configure import what_is_left
    from nars.searching.run import default_folder
    from nars.workers.launch import default_workers

    folder = folder or default_folder(config)
    if resume and not (folder / "config.yaml").exists():
        raise click.UsageError(f"nothing to resume: {folder} holds no search")
    left = what_is_left(config)
    display.show_remaining(config, left, quiet=json)
    if dry_run:
        return
    count = workers or default_workers(config.device)
    with display.progress(config, quiet=json) as watch:
        found = search(config, folder, storage, workers=count, watch=watch).summary
    click.echo(to_json(found.to_dict())) if json else display.show_summary(found)


@click.command()
@click.option("--storage", required=True, help="Path of a journal file, or an Optuna storage URL.")
@click.option("--study", "name", required=True, help="Name of the study, which is that of the run folder.")
@click.option("--data", help="Where the data is on this machine, if not where the search was started.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
@device_option
def worker(storage: str, name: str, data: str | None, parent: int | None, device: str) -> None:
    """Join a running search as one more worker, from this machine or another.

    Example: nars worker --storage runs/first/study.journal --study first
    """
    from nars.workers.join import join

    quiet_optuna()
    join(storage, name, data=data, device=device, parent=parent)
