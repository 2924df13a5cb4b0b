"""``nars search`` and ``nars worker``."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from nars.cli.commands import GroupedCommand
from nars.cli.options.engines import engine_named, engine_options
from nars.cli.options.requests import request_options, requested, say, say_default_data
from nars.cli.options.values import (
    also_from_option,
    artifacts_option,
    device_option,
    json_option,
    quiet_optuna,
    to_json,
)
from nars.foreign.parts import Part

GROUPS = {
    "Data": ("data", "drop_bad", "task", "mask", "metric"),
    "Space": ("space", "init", "reference_epochs", "fix"),
    "Limits": ("max_macs", "max_params", "max_latency"),
    "Search": (
        "budget",
        "objectives",
        "sampler",
        "predictor",
        "warm_start",
        "pruner",
        "early_stopping",
        "seed",
    ),
    "Run": (
        "folder",
        "resume",
        "storage",
        "artifacts",
        "also_from",
        "dry_run",
        "finish",
    ),
    "Workers": ("workers", "device", "engine_name", "address", "worker_options"),
    "Output": ("as_json",),
}
"""Options of ``nars search`` under the titles of its help."""


_BY_RECIPE = "recipe"
"""Value of ``--finish`` without a number."""


class _Epochs(click.ParamType[Any]):
    """A number of epochs, or those of the recipe."""

    name = "epochs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == _BY_RECIPE else click.IntRange(min=1).convert(value, param, ctx)


@click.command("search", cls=GroupedCommand, groups=GROUPS)
@request_options()
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), help="Run folder; by default named by the settings."
)
@click.option("--resume", is_flag=True, help="Refuse to start a new search.")
@also_from_option
@click.option(
    "--storage",
    help="An Optuna storage URL, or @FILE with one, to use instead of the run folder's journal; NARS_STORAGE "
    "is the same without showing a password.",
)
@artifacts_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes; by default one per core, or one or several per GPU, by the size of a training step.",
)
@engine_options
@click.option(
    "--finish",
    type=_Epochs(),
    is_flag=False,
    flag_value=_BY_RECIPE,
    metavar="[EPOCHS]",
    help="Train the winner in full after the budget, for EPOCHS or those of its recipe.",
)
@click.option("--dry-run", is_flag=True, help="Only show what the limits leave of the space.")
@json_option
def search_command(
    folder: Path | None,
    resume: bool,
    storage: str | None,
    artifacts: str | None,
    workers: int | None,
    engine_name: str,
    address: str | None,
    worker_options: tuple[str, ...],
    finish: str | int | None,
    dry_run: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Search architecture and recipe together; the winner goes to the run folder.

    The same command again continues the search where it was left. Its budget may have grown.

    Example: nars search --budget 64 --data photos/ --max-macs 8M
    """
    request = requested(fields)  # a mistake is answered before the imports

    from nars.cli import display
    from nars.runs.continuing import check_continues
    from nars.runs.passwords import complete, given
    from nars.runs.run import default_folder
    from nars.runs.storage import check_server
    from nars.searching.configure import configure, what_is_left

    quiet_optuna()
    storage = given(storage)
    engine = engine_named(engine_name, address, worker_options)
    if storage is not None and not dry_run:
        check_server(complete(storage))  # before minutes of reading data
    about_space: list[str] = []
    parts: list[Part] = []
    config = configure(request, folder, about_space.append, parts.extend)
    folder = folder or default_folder(config)
    if resume and not (folder / "config.yaml").exists():
        raise click.UsageError(f"nothing to resume: {folder} holds no search")
    check_continues(config, folder)
    remaining = what_is_left(config)
    say_default_data(fields, request)
    say(*about_space)
    display.show_remaining(config, remaining, quiet=as_json)
    if dry_run:
        if as_json:
            left = {"space": config.space.name, "limits": config.limits} | asdict(remaining)
            click.echo(to_json(left | {"parts": [part.row() for part in parts]}))
        return

    from nars.api import search

    count = workers or engine.default_workers(config)
    with display.progress(config, quiet=as_json) as watch:
        result = search(
            config,
            folder,
            storage,
            workers=count,
            watch=watch,
            artifacts=artifacts,
            engine=engine,
            metric=config.metric,
        )
    numbers = result.summary.to_dict() | {"parts": [part.row() for part in parts]}
    if not as_json:
        outside = None if result.run.is_within else result.run.storage
        display.show_summary(result.summary, config, outside, finishing=finish is not None)
    if finish is not None:
        from nars.workers.finish import finish as finish_winner

        on_epoch = display.epochs(quiet=as_json)
        finished = finish_winner(
            result.run, result.study, None if finish == _BY_RECIPE else int(finish), on_epoch
        )
        numbers["finished"] = asdict(finished)
        if not as_json:
            display.show_finished(result.run.folder, finished)
    if as_json:
        click.echo(to_json(numbers))


@click.command("worker")
@click.option(
    "--storage",
    help="Path of a journal file, an Optuna storage URL, or @FILE with one; by default NARS_STORAGE.",
)
@click.option("--study", "name", required=True, help="Name of the study, which is that of the run folder.")
@click.option("--data", help="Where the data are on this machine, if not where the search was started.")
@artifacts_option
@click.option("--metric", help="The function that scores the search, module:function, if it has one.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
@also_from_option
@device_option
def worker_command(
    storage: str | None,
    name: str,
    data: str | None,
    artifacts: str | None,
    metric: str | None,
    parent: int | None,
    device: str,
) -> None:
    """Join a running search as one more worker, from this machine or another.

    Example: nars worker --storage runs/first/study.journal --study first
    """
    from nars.cli.console import telling
    from nars.runs.passwords import given
    from nars.workers.join import join

    quiet_optuna()
    storage = given(storage)
    if storage is None:
        raise click.UsageError("Missing option '--storage', or NARS_STORAGE.")
    with nullcontext() if parent is not None else telling():  # a search tells for its own workers
        join(storage, name, data=data, device=device, parent=parent, artifacts=artifacts, metric=metric)
