"""``nars spaces`` and ``nars data``: what is built in, and what a data set holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nars.cli.values import data_option, json_option, to_json

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@click.command()
@click.argument("name", required=False)
@json_option
def spaces(name: str | None, as_json: bool) -> None:
    """List the search spaces and published networks, or print one as YAML.

    Example: nars spaces micro > my.yaml, a start for a space of your own
    """
    from search_spaces.catalogue import names, published
    from search_spaces.spaces import space, space_names

    if name is not None:
        found = published(name) if name in names() else space(name)
        click.echo(found.to_yaml(), nl=False)
        return
    built_in = {each: space(each) for each in space_names()}
    listed = {
        each: {
            "architecture_dimensions": len(found.architecture_names),
            "recipe_dimensions": len(found.recipe_names),
            "log10_architectures": _log10_size(
                found.distributions[name] for name in found.architecture_names
            ),
        }
        for each, found in built_in.items()
    }
    if as_json:
        click.echo(to_json({"spaces": listed, "published": names()}))
        return
    for each, numbers in listed.items():
        counts = (
            f"{numbers['architecture_dimensions']} architecture and {numbers['recipe_dimensions']} recipe"
        )
        click.echo(f"{each}: {counts} dimensions, about 1e{numbers['log10_architectures']:.0f} architectures")
    click.echo(f"published networks: {', '.join(names())}")


def _log10_size(distributions: Iterable[BaseDistribution]) -> float:
    """Of the combinations of discrete dimensions."""
    import math

    from optuna.distributions import CategoricalDistribution, IntDistribution

    total = 0.0
    for dist in distributions:
        if isinstance(dist, CategoricalDistribution):
            total += math.log10(len(dist.choices))
        elif isinstance(dist, IntDistribution):
            total += math.log10((dist.high - dist.low) // dist.step + 1)
    return total


@click.group(invoke_without_command=True)
@data_option
@click.option("--drop-bad", is_flag=True, help="Go on without images that cannot be read.")
@json_option
@click.pass_context
def data(context: click.Context, data: str, drop_bad: bool, as_json: bool) -> None:
    """Describe a classification data set; `nars data check DIR` examines a detection set.

    Example: nars data --data photos/
    """
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

    from nars.data import load

    summary = load(data, drop_bad=drop_bad).summary()
    if as_json:
        click.echo(to_json(summary))
        return
    table = Table("class", *summary["splits"], title=summary["name"], title_justify="left")
    for name in summary["classes"]:
        table.add_row(name, *(str(split["per_class"][name]) for split in summary["splits"].values()))
    totals = (str(split["images"]) for split in summary["splits"].values())
    table.add_section()
    table.add_row("all", *totals)
    Console().print(table)
    for line in summary["dropped"]:
        click.echo(f"left out: {line}")


@data.command()
@click.argument("folder")
@click.option("--fix", type=click.Path(path_type=Path), help="Write a mended copy to this new folder.")
@click.option("--quick", is_flag=True, help="Only open images: damage further in goes unseen.")
@json_option
def check(folder: str, fix: Path | None, quick: bool, as_json: bool) -> int:
    """Examine a detection data set: COCO's, Pascal VOC's or YOLO's format. Exit code 2 for errors.

    Example: nars data check COCO_DIR --fix mended
    """
    from detector.data import check as checks
    from detector.data.findings import summary

    if fix is not None:
        for change in checks.fix(folder, fix):
            click.echo(change)
        click.echo(f"mended copy written to {fix}")
        return 0
    findings = checks.check(folder, decode=not quick)
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        click.echo(to_json([finding.row() for finding in findings]))
    else:
        _show_findings([finding.row() for finding in findings])
        counts = ", ".join(f"{code} {count}" for code, count in summary(findings).items())
        click.echo(f"{folder}: {errors or 'no'} errors{f' ({counts})' if counts else ''}")
    if errors:
        click.echo(f"nars: {errors} errors in {folder}; mend them with --fix NEW_FOLDER", err=True)
    return 2 if errors else 0


def _show_findings(rows: list[dict[str, str | int | None]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)
