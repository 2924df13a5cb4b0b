"""``nars export`` and ``nars report``: what a search leaves for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nars.cli.values import AMOUNT, DURATION, json_option, quiet_optuna, run_option, to_json

if TYPE_CHECKING:
    import pandas as pd

    from nars.searching.run import Run

_output = click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File; by default the terminal."
)


@click.group()
def export() -> None:
    """Write the winner, the front or the trials of a search.

    Example: nars export best-arch -o best.yaml
    """


@export.command("best-arch")
@run_option
@click.option("--max-macs", type=AMOUNT, help="The best among those with so many MACs at most.")
@click.option("--max-params", type=AMOUNT, help="The best among those with so many parameters at most.")
@click.option("--max-latency", type=DURATION, help="The best among those measured this fast.")
@click.option(
    "--format", "form", type=click.Choice(["yaml", "onnx", "pt2"]), default="yaml", show_default=True
)
@click.option("--weights", type=click.Path(path_type=Path), help="Trained by `nars train`; for onnx and pt2.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File; YAML goes to the terminal without."
)
@json_option
def best_arch(
    folder: str | None,
    max_macs: float | None,
    max_params: float | None,
    max_latency: float | None,
    form: str,
    weights: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """The winner: architecture and recipe as YAML, or the network as ONNX or torch.export's pt2.

    A network is exported with the weights of `nars train`, or, for measuring its speed, with
    random ones. The file is loaded again and compared with the network before it is left there.

    Example: nars export best-arch --format onnx --weights weights.pt -o best.onnx
    """
    if form != "yaml" and weights is not None:
        _network(weights, form, output, as_json)
        return
    from nars.searching.results import best_candidate, best_yaml, winner

    limits = {"macs": max_macs, "params": max_params, "latency": max_latency}
    run = _run(folder)
    study = run.study()
    within = {name: limit for name, limit in limits.items() if limit is not None}
    found = winner(study, run.config, within)
    if form != "yaml":
        _network(best_candidate(run.config, found), form, output, as_json, run.config.space.num_classes)
        return
    text = best_yaml(run, study, found)
    if as_json:
        candidate = best_candidate(run.config, found)
        click.echo(to_json({"mean": found.mean, "trials": found.numbers} | candidate.model_dump(mode="json")))
    else:
        _write(text, output)


@export.command()
@run_option
@_output
@json_option
def pareto(folder: str | None, output: Path | None, as_json: bool) -> None:
    """The candidates that no other dominates, one row each, as CSV.

    Example: nars export pareto -o front.csv
    """
    from nars.searching.results import front_table

    run = _run(folder)
    _table(front_table(run.study(), run.config), output, as_json)


@export.command()
@run_option
@_output
@json_option
def trials(folder: str | None, output: Path | None, as_json: bool) -> None:
    """Every trial with its scores, costs and genotype, one row each, as CSV.

    Example: nars export trials -o trials.csv
    """
    from nars.searching.results import trials_table

    run = _run(folder)
    _table(trials_table(run.study(), run.config), output, as_json)


@click.command()
@run_option
def report(folder: str | None) -> None:
    """One HTML file in the run folder: winner, front, trials, importance, trust in the predictor.

    Example: nars report --run runs/first
    """
    from nars.report.page import write_report

    run = _run(folder)
    click.echo(f"written to {write_report(run, run.study())}")


def _run(folder: str | None) -> Run:
    from nars.searching.run import latest, open_run

    quiet_optuna()
    return open_run(Path(folder)) if folder else latest()


def _network(source: Any, form: str, output: Path | None, as_json: bool, classes: int | None = None) -> None:
    from nars.networks.export import export as write
    from nars.networks.weights import load_weights

    if output is None:
        raise click.UsageError(f"--format {form} needs -o FILE")
    model = load_weights(source) if isinstance(source, Path) else source
    done = write(model, output, form, num_classes=classes)
    if as_json:
        click.echo(to_json(done.to_dict()))
    else:
        click.echo(f"written to {output}; largest deviation from the network {done.deviation:.1e}")


def _table(table: pd.DataFrame, output: Path | None, as_json: bool) -> None:
    if as_json:
        click.echo(to_json(table.to_dict(orient="records")))
    else:
        _write(table.to_csv(index=False), output)


def _write(text: str, output: Path | None) -> None:
    from nars.files import write_whole

    if output is None:
        click.echo(text, nl=False)
    else:
        write_whole(output, text)
        click.echo(f"written to {output}")
