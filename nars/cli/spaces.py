"""``nars spaces``: what is built in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from nars.cli.options.values import json_option, to_json

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from nars.documents import Document
    from nars.space import Space
    from nars.space.base import SearchSpace


@click.command("spaces")
@click.argument("name", required=False)
@click.option(
    "--from",
    "origin",
    help="Print the space of the networks that inherit every weight from a parent, named as for --init.",
)
@json_option
def spaces_command(name: str | None, origin: str | None, as_json: bool) -> None:
    """List the search spaces and published networks, or print one as YAML or JSON.

    Example: nars spaces micro > my.yaml, a start for a space of your own
    """
    from nars.tasks import SPACES, spaces_of
    from search_spaces import catalogue, spaces

    if origin is not None:
        if name is not None:
            raise click.UsageError(f"give a space or --from a parent, not both ({name} and {origin})")
        _show(_space_from(origin), as_json=as_json)
        return
    own = {title: task for task in SPACES for title in spaces_of(task).names()}
    if name is not None:
        if name in own:
            _show(spaces_of(own[name]).space(name), as_json=as_json)
        else:
            in_catalogue = name in catalogue.names()
            _show(catalogue.published(name) if in_catalogue else spaces.space(name), as_json=as_json)
        return
    sizes = {built_in: _sizes(spaces.space(built_in)) for built_in in spaces.space_names()}
    sizes |= {title: _sizes(spaces_of(task).space(title)) for title, task in own.items()}
    if as_json:
        click.echo(to_json({"spaces": sizes, "published": catalogue.names()}))
        return
    for built_in, numbers in sizes.items():
        counts = (
            f"{numbers['architecture_dimensions']} architecture and {numbers['recipe_dimensions']} recipe"
        )
        size = f"about 1e{numbers['log10_architectures']:.0f} architectures"
        title = f"{built_in} (--task {own[built_in]})" if built_in in own else built_in
        click.echo(f"{title}: {counts} dimensions, {size}")
    click.echo(
        f"published networks, with their top-1 on ImageNet: {', '.join(map(_described, catalogue.names()))}"
    )


def _show(document: Document, *, as_json: bool) -> None:
    """Print a document as YAML or JSON."""
    click.echo(to_json(document.to_dict()) if as_json else document)


def _space_from(origin: str) -> Space:
    """The space of a parent, for which a published architecture needs no weights."""
    from nars.errors import UsageError
    from nars.parents.sources import parent
    from nars.parents.space import space_of
    from search_spaces import catalogue

    if origin in catalogue.names():
        return space_of(catalogue.published(origin))
    found = parent(origin)
    if found is None:
        raise UsageError("no space can be made from none: name a parent, such as efficientnet_lite0")
    return space_of(found.architecture)


def _described(name: str) -> str:
    """A published network's name, with its accuracy if the authors state one."""
    from search_spaces.catalogue import figures

    published = figures(name)
    return name if published is None else f"{name} {published.top_1:.1f} %"


def _sizes(space: SearchSpace) -> dict[str, float]:
    names = space.architecture_names
    return {
        "architecture_dimensions": len(names),
        "recipe_dimensions": len(space.recipe_names),
        "log10_architectures": _log10_size(space.distributions[name] for name in names),
    }


def _log10_size(distributions: Iterable[BaseDistribution]) -> float:
    """Log10 of the number of combinations of the discrete dimensions."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    total = 0.0
    for distribution in distributions:
        if isinstance(distribution, CategoricalDistribution):
            total += math.log10(len(distribution.choices))
        elif isinstance(distribution, IntDistribution):
            total += math.log10((distribution.high - distribution.low) // distribution.step + 1)
    return total
