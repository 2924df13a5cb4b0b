"""``nars profile``."""

from __future__ import annotations

import click

from nars.cli.values import device_option, json_option, to_json


@click.command()
@click.argument("arch")
@click.option("--resolution", type=click.IntRange(min=1), help="Side of the input in pixels.")
@click.option("--classes", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--latency", is_flag=True, help="Measure the time of each stage on this machine.")
@device_option
@json_option
def profile(
    arch: str, resolution: int | None, classes: int, latency: bool, device: str, as_json: bool
) -> None:
    """Shape, MACs and parameters of ARCH, a file or a published name, stage by stage.

    Both countings are printed: ours, and that of the published figures, which counts weights of
    convolutions only and adds the inputs of average pools.

    Example: nars profile fbnetv3_a --latency
    """
    from nars.device import resolve
    from nars.networks.profile import profile as measure
    from nars.searching.configure import candidate

    found = measure(
        candidate(arch).architecture,
        resolution=resolution,
        num_classes=classes,
        latency_device=resolve(device) if latency else None,
    )
    if as_json:
        click.echo(to_json(found.to_dict()))
    else:
        from rich.console import Console

        Console().print(found.table())
