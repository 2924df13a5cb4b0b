"""``nars export`` and ``nars report``: files made from a search or from trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nars.cli.options.formats import NETWORK_FORMATS, format_of, format_option
from nars.cli.options.values import (
    AMOUNT,
    DURATION,
    json_option,
    quiet_optuna,
    run_option,
    storage_option,
    to_json,
)
from nars.cli.options.weights import WeightsFile
from nars.errors import closest

if TYPE_CHECKING:
    import pandas as pd

    from nars.networks.export import Exported
    from nars.runs.run import Run

_output = click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; by default the terminal."
)


_report_output = click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write instead of RUN/report.html."
)


_random_option = click.option(
    "--random-weights", is_flag=True, help="Export a network's shape only, with random weights."
)


class _Export(click.Group):
    """A group in which a first word that is not a command is a file of weights."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word in self.commands or word.startswith("-"):
            return super().resolve_command(ctx, args)
        if not (Path(word).suffix or Path(word).exists()):
            raise click.UsageError(
                f"no file or command {word!r}: {closest(word, self.list_commands(ctx))}", ctx
            )
        return _WORD, weights_command, args

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["best-arch", "pareto", "trials"]


_WINNER_FORMATS = ("yaml", *NETWORK_FORMATS)
"""Formats of the winner."""

_WORD = "FILE"
"""The word for the file of weights in the usage line of its help."""


@click.group("export", cls=_Export, subcommand_metavar="FILE | COMMAND [ARGS]...")
def export_command() -> None:
    """Write the winner, the front or the trials of a search, or the network in FILE.

    FILE holds weights of `nars train`; it is written as ONNX or as torch.export's pt2
    (nars export FILE --help).

    Example: nars export best-arch -o best.yaml, nars export best.pt -o best.onnx
    """


@click.command(_WORD)
@click.argument("weights", type=WeightsFile(), metavar="FILE")
@format_option(NETWORK_FORMATS, "ONNX, torch.export's pt2, or TorchScript")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="File to write.")
@json_option
def weights_command(weights: Path, form: str | None, output: Path, as_json: bool) -> None:
    """Write the trained network in FILE as ONNX, or as torch.export's pt2.

    It takes RGB images [N, 3, S, S] in 0..1 (grey ones [N, 1, S, S], if it was trained on those) of the
    printed size, normalizes them itself and gives logits. The file is loaded again and compared with the
    network before it is kept.

    Example: nars export best.pt --format onnx -o best.onnx
    """
    _write_trained(weights, format_of(output, form, NETWORK_FORMATS), output, as_json)


@export_command.command("best-arch")
@run_option
@click.option("--max-macs", type=AMOUNT, help="Take the best with at most so many MACs.")
@click.option("--max-params", type=AMOUNT, help="Take the best with at most so many parameters.")
@click.option("--max-latency", type=DURATION, help="Take the best that was measured to be this fast.")
@format_option(_WINNER_FORMATS, "YAML, or the trained network as ONNX, torch.export's pt2 or TorchScript")
@_random_option
@click.option("--weights", type=click.Path(path_type=Path), hidden=True)  # version 0.1: nars export FILE
@_output
@json_option
@storage_option
def best_arch_command(
    folder: Path | None,
    max_macs: float | None,
    max_params: float | None,
    max_latency: float | None,
    form: str | None,
    random_weights: bool,
    weights: Path | None,
    output: Path | None,
    as_json: bool,
    storage: str | None,
) -> None:
    """Write the winner as YAML, or its network as ONNX or pt2.

    The YAML has architecture, recipe and data. The network has the weights that the search trained
    (RUN/weights); random ones are enough to measure its speed. A detector
    is exported by `nars detect export RUN/weights/best.pt`.

    Example: nars export best-arch --max-macs 1M -o best.yaml
    """
    form = format_of(output, form, _WINNER_FORMATS)
    if form != "yaml" and weights is not None:
        _write_trained(weights, form, output, as_json)
        return
    from nars.searching import results

    limits = {"macs": max_macs, "params": max_params, "latency": max_latency}
    run = _open(folder, storage)
    study = run.read()
    within = {name: limit for name, limit in limits.items() if limit is not None}
    best = results.winner(study, run.config, within)
    candidate = results.best_candidate(run.config, best)
    if form != "yaml":
        if output is None:
            raise click.UsageError(f"--format {form} needs -o FILE")
        from nars.workers.exported import exported

        _show(exported(run, study, best, form, output, random_weights, within), output, as_json)
    else:
        _write(results.best_yaml(run, study, best), output, quiet=as_json)
        if as_json:
            numbers = {"mean": best.mean, "trials": best.numbers}
            click.echo(to_json(numbers | candidate.model_dump(mode="json")))


@export_command.command("pareto")
@run_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "yaml", "onnx", "pt2", "torchscript"]),
    default="csv",
    show_default=True,
    help="One CSV, or a file for each candidate in the folder -o: YAML, ONNX, torch.export's pt2.",
)
@_random_option
@_output
@json_option
@storage_option
def pareto_command(
    folder: Path | None,
    form: str,
    random_weights: bool,
    output: Path | None,
    as_json: bool,
    storage: str | None,
) -> None:
    """Write the front as CSV, or each of its networks.

    The front has the candidates that no other dominates.

    Example: nars export pareto -o front.csv, nars export pareto --format onnx -o front/
    """
    if form == "csv":
        format_of(output, form, ("csv",))
    from nars.searching import confirm, results

    run = _open(folder, storage)
    study = run.read()
    front = results.front_table(study, run.config)
    if form == "csv":
        _write_table(front, output, as_json)
        return
    if output is None:
        raise click.UsageError(f"--format {form} needs -o FOLDER")
    from nars.workers.exported import exported

    found = confirm.measured(study.get_trials(deepcopy=False))  # perhaps with more runs than the front
    measured = {number: each for each in found for number in each.numbers}
    files = []
    for number in front["trial"]:
        file = output / f"trial{number}.{form}"
        if form == "yaml":
            _write(results.best_yaml(run, study, measured[number]), file, quiet=as_json)
        else:
            made = exported(run, study, measured[number], form, file, random_weights)
            if not as_json:
                _show(made, file, as_json)
        files.append(str(file))
    if as_json:
        click.echo(to_json(files))


@export_command.command("trials")
@run_option
@_output
@json_option
@storage_option
def trials_command(folder: Path | None, output: Path | None, as_json: bool, storage: str | None) -> None:
    """Write every trial as CSV, with its scores, costs and genotype.

    Example: nars export trials -o trials.csv
    """
    format_of(output, "csv", ("csv",))
    from nars.searching.results import trials_table

    run = _open(folder, storage)
    _write_table(trials_table(run.read(), run.config), output, as_json)


@click.command("report")
@run_option
@click.option(
    "--metric", help="Metric of the run; needed if it is a user's function, because its code is run."
)
@storage_option
@_report_output
def report_command(folder: Path | None, metric: str | None, storage: str | None, output: Path | None) -> None:
    """Write one HTML file to the run folder: winner, front, trials, importance, trust in the predictor.

    Example: nars report --run runs/first
    """
    format_of(output, "html", ("html",))
    from nars.training.metrics import check_repeated

    run = _open(folder, storage)
    check_repeated(run.config.metric, metric, str(run.folder))

    from nars.report.page import write_report

    click.echo(f"written to {write_report(run, run.read(), output)}")


def _open(folder: Path | None, storage: str | None) -> Run:
    """The run in `folder`, or the latest one; `storage` repeats one outside of its folder."""
    from nars.runs.passwords import given
    from nars.runs.run import latest, open_run

    quiet_optuna()
    named = given(storage)
    return latest(named) if folder is None else open_run(folder, named)


def _show(made: Exported, output: Path, as_json: bool) -> None:
    if as_json:
        click.echo(to_json(made.to_dict()))
    else:
        random = "" if made.contract.is_trained else " with random weights, whose answers mean nothing"
        click.echo(f"written to {output}{random}; largest deviation from the network {made.deviation:.1e}")
        click.echo(made.contract.line)


def _write_trained(weights: Path, form: str, output: Path | None, as_json: bool) -> None:
    from nars.networks.export import export
    from nars.networks.weights import load_weights

    if output is None:
        raise click.UsageError(f"--format {form} needs -o FILE")
    _show(export(load_weights(weights), output, form), output, as_json)


def _write_table(table: pd.DataFrame, output: Path | None, as_json: bool) -> None:
    _write(table.to_csv(index=False), output, quiet=as_json)
    if as_json:
        click.echo(to_json(table.to_dict(orient="records")))


def _write(text: str, output: Path | None, *, quiet: bool) -> None:
    """Write a text to a file and say so, or print it; `quiet` prints nothing."""
    from nars.files import write_whole

    if output is not None:
        write_whole(output, text)
    if not quiet:
        click.echo(text if output is None else f"written to {output}\n", nl=False)
