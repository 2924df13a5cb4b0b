"""``nars profile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nars.cli.options.classes import COCO, IMAGENET, classes_to_count
from nars.cli.options.values import device_option, init_option, json_option, to_json

if TYPE_CHECKING:
    from nars.spec import Architecture


@click.command("profile")
@click.argument("arch")
@click.option("--resolution", type=click.IntRange(min=1), help="Side of the input in pixels.")
@click.option(
    "--classes",
    type=click.IntRange(min=1),
    help=f"Classes, by default those of the search, else {IMAGENET}, of a detector {COCO}.",
)
@init_option
@click.option("--latency", is_flag=True, help="Measure the time of each stage on this machine.")
@device_option
@json_option
def profile_command(
    arch: str,
    resolution: int | None,
    classes: int | None,
    init: str,
    latency: bool,
    device: str,
    as_json: bool,
) -> None:
    """Print shape, MACs and parameters of ARCH, a file or a published name, stage by stage.

    Both countings are printed: ours, and that of the published figures, which counts the weights of
    convolutions only and adds the inputs of average pools. Of a detector, it prints the MACs of each part, at
    its shorter x longer side. With --init, it also prints the share of the parameters that ARCH would
    inherit from that parent; what predicts classes counts as fresh.

    Example: nars profile fbnetv3_a --latency
    """
    from detector.cli import profile as detector
    from nars.searching.catalogue import candidate

    if detector.is_detector(arch):
        if resolution is not None:
            raise click.UsageError(f"{arch} is a detector, which has sizes of images: leave out --resolution")
        if latency:
            raise click.UsageError(f"{arch} is a detector: `nars detect evaluate --latency` measures it")
        detector.profile(arch, classes, init, as_json=as_json)
        return
    found = candidate(arch)
    architecture = found.architecture
    classes, why = classes_to_count(classes, found.num_classes, IMAGENET)
    share = _inherited(architecture, classes, init)

    from nars.device import resolve
    from nars.networks import profile

    costs = profile.profile(
        architecture,
        resolution=resolution,
        num_classes=classes,
        latency_device=resolve(device) if latency else None,
    )
    if as_json:
        click.echo(to_json(costs.to_dict() | ({} if share is None else {"inherited": share})))
        return
    from nars.cli.console import plain_console, print_table

    print_table(plain_console(), f"{costs.title}{why}", costs.table())
    if share is not None:
        click.echo(f"inherits {share:.1%} of its parameters from {init}")


def _inherited(architecture: Architecture, classes: int, init: str) -> float | None:
    """The share of its parameters that a classifier would inherit from the parent `init`, if there is one."""
    from nars.networks.build import build
    from nars.parents.choice import check_inherits
    from nars.parents.inherit import inherit
    from nars.parents.sources import parent

    origin = parent(init)
    if origin is None:
        return None
    check_inherits(architecture, origin)
    return inherit(build(architecture, classes), architecture, origin).share
