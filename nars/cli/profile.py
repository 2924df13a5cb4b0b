"""``nars profile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nars.cli.options.values import device_option, init_option, json_option, to_json

if TYPE_CHECKING:
    from nars.spec import Architecture


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
@init_option
@click.option("--latency", is_flag=True, help="Measure the time of each stage on this machine.")
@device_option
@json_option
def profile_command(
    arch: str,
    resolution: int | None,
    classes: int,
    init: str,
    latency: bool,
    device: str,
    as_json: bool,
) -> None:
    """Print shape, MACs and parameters of ARCH, a file or a published name, stage by stage.

    Both countings are printed: ours, and that of the published figures, which counts the weights of
    convolutions only and adds the inputs of average pools. With --init, the share of the parameters that
    ARCH would inherit from that parent is printed too; its classifier counts as fresh.

    Example: nars profile fbnetv3_a --latency
    """
    from nars.searching.catalogue import candidate

    if _is_detector(arch):
        _profile_detector(arch, classes, as_json)
        return
    architecture = candidate(arch).architecture
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

    print_table(plain_console(), costs.title, costs.table())
    if share is not None:
        click.echo(f"inherits {share:.1%} of its parameters from {init}")


def _is_detector(arch: str) -> bool:
    """Whether a file has a searched detector, which is counted as a whole."""
    from nars.documents import kind_of, read_text

    return arch.endswith((".yaml", ".yml")) and kind_of(read_text(arch), arch) == "detector_candidate"


def _profile_detector(arch: str, classes: int, as_json: bool) -> None:
    """Print MACs of each part and parameters of a detector, at its shorter x longer side."""
    from detector.cli.display import show_cost
    from detector.model.cost import count_parts
    from detector.space.candidate import DetectorCandidate

    found = DetectorCandidate.load(arch)
    cost = count_parts(found.architecture, found.settings, classes)
    if as_json:
        click.echo(to_json(vars(cost) | {"macs": cost.macs}))
    else:
        show_cost(cost, None)


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
