"""``nars data``: what a data set holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import click

from nars.cli.options.values import also_from_option, drop_bad_option, json_option, to_json


@click.group("data", invoke_without_command=True)
@click.option(
    "--data",
    "source",
    default="digits",
    show_default=True,
    help="digits, clothing, a folder of class folders, an .npz file, a .csv or .parquet table of paths and "
    "labels, a torchvision set as cifar10:PATH, or hf:NAME.",
)
@drop_bad_option
@also_from_option
@json_option
@click.pass_context
def data_command(context: click.Context, source: str, drop_bad: bool, as_json: bool) -> None:
    """Describe a classification data set; `nars data check DIR` examines a detection data set.

    Example: nars data --data photos/
    """
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from nars import data
    from nars.cli.console import plain_console

    images = data.load(source, drop_bad=drop_bad)
    summary = images.summary()
    if as_json:
        click.echo(to_json(summary))
        return
    for part in images.parts:
        click.echo(part.line())
    table = Table("class", *summary["splits"], title=summary["name"], title_justify="left")
    for name in summary["classes"]:
        table.add_row(name, *(str(split["per_class"][name]) for split in summary["splits"].values()))
    table.add_section()
    table.add_row("all", *(str(split["images"]) for split in summary["splits"].values()))
    plain_console().print(table)
    for line in summary["dropped"]:
        click.echo(f"left out: {line}")


@data_command.command("check", short_help="Examine a detection data set.")
@click.argument("folder")
@click.option("--fix", type=click.Path(path_type=Path), help="Write a mended copy to this new folder.")
@also_from_option
@click.option("--quick", is_flag=True, help="Only open images: damage further inside goes unseen.")
@json_option
def check_command(folder: str, fix: Path | None, quick: bool, as_json: bool) -> int:
    """Examine a detection data set in COCO's, Pascal VOC's or YOLO's format. Exit code 2 for errors.

    Example: nars data check COCO_DIR --fix mended
    """
    from detector.data import check
    from detector.data.findings import summary

    if fix is not None:
        for change in check.fix(folder, fix):
            click.echo(change)
        click.echo(f"mended copy written to {fix}")
        return 0
    findings = check.check(folder, decode=not quick)
    errors = sum(finding.severity == "error" for finding in findings)
    rows = [finding.row() for finding in findings]
    if as_json:
        click.echo(to_json(rows))
    else:
        _show(rows)
        counts = ", ".join(f"{code} {count}" for code, count in summary(findings).items())
        click.echo(f"{folder}: {errors or 'no'} errors{f' ({counts})' if counts else ''}")
    if errors:
        click.echo(f"nars: {errors} errors in {folder}; mend them with --fix NEW_FOLDER", err=True)
    return 2 if errors else 0


def _show(rows: list[dict[str, str | int | None]]) -> None:
    """Print the findings as a table, if there are any."""
    from rich.table import Table

    from nars.cli.console import plain_console

    if not rows:
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    plain_console().print(table)
