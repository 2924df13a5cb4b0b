"""``nars predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nars.cli.options.reading import readable
from nars.cli.options.values import device_option, is_file, json_option, to_json
from nars.cli.options.weights import weights_argument

if TYPE_CHECKING:
    from nars.deploy.predict import Prediction


@click.command("predict")
@weights_argument
@click.argument("inputs", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="FILE.json for what --json prints; FILE.png for one picture of the first twelve; or a folder for "
    "every picture and results.json.",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=3, show_default=True, help="Classes to show of each picture."
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Take every n-th frame of a video.",
)
@device_option
@json_option
def predict_command(
    weights: Path,
    inputs: tuple[str, ...],
    output: Path | None,
    top: int,
    every: int,
    device: str,
    as_json: bool,
) -> int:
    """Classify INPUTS, which are images, folders, patterns or videos, with the network in WEIGHTS.

    Pictures are prepared as in the training. Pictures that cannot be read are named and skipped; the exit
    code is then 1.

    Example: nars predict trained/weights/best.pt photos/ -o labelled
    """
    is_json = output is not None and is_file(output, (".json", ".png")) and output.suffix.lower() == ".json"

    from nars.deploy import predict
    from nars.deploy.drawing import Album
    from nars.device import resolve
    from nars.files import write_whole
    from nars.networks.weights import WEIGHTS, Weights
    from nars.tensors import read_tensors

    content = read_tensors(weights)
    WEIGHTS.check_command(content, weights, "predict")
    trained, torch_device = Weights.of(content, str(weights)), resolve(device)
    album = Album(None if is_json else output)
    rows: list[dict[str, Any]] = []
    unread: list[str] = []
    pictures = predict.pictures(inputs, every=every, without=output)
    for answer in readable(predict.predict(trained, pictures, torch_device), unread):
        rows.append(_row(answer, trained.classes, top))
        if not album.is_full:
            picture = predict.draw(answer, trained.classes, top)
            album.add(len(rows), answer.picture.name, picture)
    text = to_json({"pictures": rows, "unreadable": unread})
    album.finish(text)
    if is_json and output is not None:
        write_whole(output, text)
    if as_json:
        click.echo(text)
    else:
        _show(rows, output)
    return 1 if unread else 0


def _row(prediction: Prediction, classes: tuple[str, ...], top: int) -> dict[str, Any]:
    """The most probable classes of a picture as plain values."""
    likely = [
        {"class": classes[label], "probability": round(probability, 5)}
        for label, probability in prediction.top(top)
    ]
    return {"file": prediction.picture.name, "classes": likely}


def _show(rows: list[dict[str, Any]], output: Path | None) -> None:
    """Print a table with a line per picture."""
    from rich.table import Table

    from nars.cli.console import plain_console

    table = Table("picture", "class", "probability", "or")
    for row in rows:
        first, *others = row["classes"]
        rest = ", ".join(f"{each['class']} {each['probability']:.2f}" for each in others)
        table.add_row(row["file"], first["class"], f"{first['probability']:.2f}", rest)
    plain_console(soft_wrap=True).print(table)
    if output is not None:
        click.echo(f"written to {output}")
