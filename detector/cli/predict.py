"""``nars detect predict``."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detector.cli.options import DATA
from nars.cli.options.reading import readable
from nars.cli.options.values import also_from_option, device_option, is_file, json_option, to_json
from nars.cli.options.weights import weights_argument
from nars.foreign.names import printable

if TYPE_CHECKING:
    from detector.model.targets import Detections


_MARGIN = 1e-6
"""A detector keeps scores above its threshold, not at it. What it does not keep costs no time and no mask."""


@click.command("predict")
@weights_argument
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="FILE.png: one picture of the first twelve; or a folder for every picture and results.json.",
)
@click.option(
    "--data", help=f"{DATA}, whose image and category ids the results have: by file and by name of the class."
)
@click.option(
    "--threshold", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Lowest score."
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Take every n-th frame of a video.",
)
@click.option("--drop-bad", is_flag=True, help="Exit with 0 although pictures cannot be read.")
@also_from_option
@device_option
@json_option
def predict_command(
    weights: Path,
    sources: tuple[str, ...],
    output: Path | None,
    data: str | None,
    threshold: float,
    every: int,
    drop_bad: bool,
    device: str,
    as_json: bool,
) -> int:
    """Find objects in SOURCES: images, folders, patterns, videos, or digit-scenes.

    Pictures that cannot be read are named and skipped; the exit code is then 1.

    Example: nars detect predict detection/weights/best.pt photos/ -o found
    """
    if output is not None:
        is_file(output, (".png",))

    from detector.data.findings import pass_over
    from detector.data.layouts import load
    from detector.deploy import predict
    from detector.deploy.drawing import draw
    from detector.deploy.ids import Ids
    from detector.weights.saved import DETECTOR, SavedDetector
    from nars.deploy.drawing import Album
    from nars.device import resolve
    from nars.tensors import read_tensors

    content = read_tensors(weights)
    DETECTOR.check_command(content, weights, "predict")
    saved, torch_device = SavedDetector.of(content, str(weights)), resolve(device)
    lowest = max(0.0, threshold - _MARGIN)
    model = saved.with_threshold(lowest).detector().to(torch_device)
    ids = Ids(saved.classes, None if data is None else load(data, pass_over))
    album = Album(output)
    rows: list[dict[str, Any]] = []
    unread: list[str] = []
    pictures = predict.pictures(sources, every=every, without=output, read=ids.pixels)
    answers = predict.predict(model, pictures, torch_device)
    for number, (picture, outputs) in enumerate(readable(answers, unread), start=1):
        sure = {name: values[outputs["scores"] >= threshold] for name, values in outputs.items()}
        rows += predict.results(number, picture, sure, saved.classes, ids)
        if not album.is_full:
            album.add(number, picture.name, draw(picture.pixels, sure, saved.classes))
        if not as_json:
            click.echo(printable(f"{picture.name}: {_summary(sure, saved.classes)}"))
    album.finish(json.dumps(rows))
    if as_json:
        click.echo(to_json(rows))
    elif output is not None:
        click.echo(f"written to {output}")
    return 1 if unread and not drop_bad else 0


def _summary(objects: Detections, classes: tuple[str, ...]) -> str:
    counts = Counter(classes[label - 1] for label in objects["labels"].tolist())
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
