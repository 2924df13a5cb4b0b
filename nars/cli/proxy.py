"""``nars proxy-check``."""

from __future__ import annotations

import click

from nars.cli.values import AMOUNT, data_option, device_option, json_option, to_json


@click.command()
@click.option("--space", default="micro", show_default=True, help="micro, fbnetv3, or your own .yaml file.")
@data_option
@click.option("--task", default="classification", show_default=True)
@click.option("--candidates", type=click.IntRange(min=4), default=12, show_default=True)
@click.option("--factor", type=click.FloatRange(min=1, min_open=True), default=4.0, show_default=True)
@click.option("--max-macs", type=AMOUNT, help="Multiply-accumulates per image at most, such as 60M.")
@click.option("--max-params", type=AMOUNT, help="Parameters at most, such as 2M.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; by default one per core.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@device_option
@json_option
def proxy_check(
    space: str,
    data: str,
    task: str,
    candidates: int,
    factor: float,
    max_macs: float | None,
    max_params: float | None,
    workers: int | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Train a few candidates for the search's epochs and FACTOR times as long, and compare ranks.

    Prints Kendall's tau with its interval: whether a search of this budget ranks like a long one.

    Example: nars proxy-check --data photos/ --candidates 12
    """
    from nars.searching.configure import configure
    from nars.searching.proxy import proxy_check as check
    from nars.workers.launch import default_workers

    limits = {"macs": max_macs, "params": max_params}
    config = configure(
        space=space,
        task=task,
        data=data,
        limits={name: limit for name, limit in limits.items() if limit is not None},
        options={"seed": seed, "device": device},
    )
    found = check(config, candidates=candidates, factor=factor, workers=workers or default_workers(device))
    click.echo(to_json(found.to_dict()) if as_json else str(found))
