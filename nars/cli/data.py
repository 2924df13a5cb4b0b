"""``nars data``: what a data set holds, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nars.cli.options.values import also_from_option, drop_bad_option, json_option, to_json
from nars.foreign.names import printable
from nars.foreign.parts import counted

if TYPE_CHECKING:
    from detector.data.findings import Finding

_SHOWN = 20
"""Findings of a kind that are printed."""

_REMEDIES: Mapping[str, str] = {
    "refuse": "which --fix cannot mend",
    "drop image": "the image would be dropped by --fix or --drop-bad",
    "drop annotation": "the annotation would be dropped by --fix or --drop-bad",
    "drop mask": "the mask is dropped, the box kept",
    "clip": "the box is clipped",
    "renumber": "--fix or --drop-bad gives a new id",
    "merge": "--fix or --drop-bad makes one class of them",
    "restate": "--fix or --drop-bad states the real size or drops the image",
    "corners": "--fix or --drop-bad takes the boxes for corners",
    "fractions": "--fix or --drop-bad makes pixels of them",
    "area": "the area of the box is taken",
    "leave out": "--fix leaves out the copy",
    "leave out image": "--fix leaves out the copy",
    "keep": "kept",
}
"""The remedy of a kind of finding, in words."""


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
    from nars.cli.console import add_rows, plain_console, print_table

    images = data.load(source, drop_bad=drop_bad)
    summary = images.summary()
    if as_json:
        click.echo(to_json(summary))
        return
    for part in images.parts:
        click.echo(part.line())
    table = Table("class", *summary["splits"])
    splits = summary["splits"].values()
    add_rows(table, summary["classes"], lambda name: (str(split["per_class"][name]) for split in splits))
    table.add_section()
    table.add_row("all", *(str(split["images"]) for split in splits))
    print_table(plain_console(), summary["name"], table)
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

    if fix is not None:
        changes, written = check.fix(folder, fix), check.read(fix)[0].parts
        if as_json:
            parts = [part.row() for part in written]
            click.echo(to_json({"path": str(fix), "parts": parts, "changes": changes}))
            return 0
        for change in changes:
            click.echo(printable(change))
        for part in written:
            click.echo(part.line())
        click.echo(f"mended copy written to {fix}")
        return 0
    data, findings = check.read(folder, decode=not quick)
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        parts = [part.row() for part in data.parts]
        click.echo(to_json({"parts": parts, "findings": [finding.row() for finding in findings]}))
    else:
        for part in data.parts:
            click.echo(part.line())
        _show(findings, Path(folder))
    if errors:
        refused = sorted({finding.code for finding in findings if finding.remedy == "refuse"})
        remedy = f"mend {'it' if errors == 1 else 'them'} with --fix NEW_FOLDER"
        if refused:
            remedy = f"--fix cannot mend {', '.join(refused)}"
        click.echo(f"nars: {counted(errors, 'error')} in {folder}; {remedy}", err=True)
    return 2 if errors else 0


def _show(findings: Sequence[Finding], folder: Path) -> None:
    """Print the findings kind by kind, each in a line that begins with its file, and their counts.

    No line is cut to the width of a terminal, so that a pipe gets all of it.
    """
    from detector.data.findings import RULES, summary

    counts = summary(findings)
    for code, count in counts.items():
        rule = RULES[code]
        click.echo(f"{rule.severity} {code}: {count}, {_REMEDIES[rule.remedy]}")
        same = [finding for finding in findings if finding.code == code]
        for finding in same[:_SHOWN]:
            file = Path(finding.file)
            place = file.relative_to(folder) if file.is_relative_to(folder) and file != folder else file
            number = "" if finding.id is None else f" (id {finding.id})"
            click.echo(f"  {printable(f'{finding.split}: {place}{number}: {finding.message}')}")
        if count > _SHOWN:
            click.echo(f"  and {count - _SHOWN} more, which --json lists")
    totals = {}
    for severity in ("error", "warning"):
        of_it = {code: count for code, count in counts.items() if RULES[code].severity == severity}
        listed = ", ".join(f"{code} {count}" for code, count in of_it.items())
        if of_it:
            totals[severity] = f"{counted(sum(of_it.values()), severity)} ({listed})"
    click.echo(f"{folder}: {'; '.join(({'error': 'no errors'} | totals).values())}")
