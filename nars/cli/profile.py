"""``nars profile``."""

from __future__ import annotations

import click

from nars.cli.values import device_option, json_option, to_json


@click.command("profile")
@click.argument("arch")
@click.option("--resolution", type=click.IntRange(min=1), help="Side of the input in pixels.")
@click.option(
    "--classes",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Outputs of the classifier.",
)
@click.option("--latency", is_flag=True, help="Measure the time of each stage on this machine.")
@device_option
@json_option
def profile_command(
    arch: str, resolution: int | None, classes: int, latency: bool, device: str, as_json: bool
) -> None:
    """Print shape, MACs and parameters of ARCH, a file or a published name, stage by stage.

    Both countings are printed: ours, and that of the published figures, which counts the weights of
    convolutions only and adds the inputs of average pools.

    Example: nars profile fbnetv3_a --latency
    """
    from nars.searching.configure import candidate

    architecture = candidate(arch).architecture

    from nars.device import resolve
    from nars.networks import profile

    costs = profile.profile(
        architecture,
        resolution=resolution,
        num_classes=classes,
        latency_device=resolve(device) if latency else None,
    )
    if as_json:
        click.echo(to_json(costs.to_dict()))
    else:
        from rich.console import Console

        Console().print(costs.table())
