"""``nars detect predict``."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detector.cli.options import weights_argument
from nars.cli.values import device_option, json_option, to_json

if TYPE_CHECKING:
    from detector.deploy.predict import Picture
    from detector.model.targets import Detections

_SHEET = 12
"""Pictures on one sheet."""


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
    "--threshold", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Lowest score."
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Take every n-th frame of a video.",
)
@click.option("--drop-bad", is_flag=True, help="Leave out pictures that cannot be read.")
@device_option
@json_option
def predict_command(
    weights: Path,
    sources: tuple[str, ...],
    output: Path | None,
    threshold: float,
    every: int,
    drop_bad: bool,
    device: str,
    as_json: bool,
) -> None:
    """Find objects in SOURCES: images, folders, patterns, videos, or digit-scenes.

    Example: nars detect predict detection/weights/best.pt photos/ -o found
    """
    from detector.deploy import predict
    from detector.weights.saved import load_detector
    from nars.device import resolve

    saved, torch_device = load_detector(weights), resolve(device)
    model = saved.detector().to(torch_device)
    drawing = _Drawing(output, saved.classes)
    rows: list[dict[str, Any]] = []
    pictures = predict.pictures(sources, drop_bad=drop_bad, every=every)
    for number, (picture, outputs) in enumerate(predict.predict(model, pictures, torch_device), start=1):
        sure = {name: values[outputs["scores"] >= threshold] for name, values in outputs.items()}
        rows += predict.results(number, picture, sure, saved.classes)
        drawing.add(number, picture, sure)
        if not as_json:
            click.echo(f"{picture.name}: {_summary(sure, saved.classes)}")
    drawing.finish(rows)
    if as_json:
        click.echo(to_json(rows))
    elif output is not None:
        click.echo(f"written to {output}")


class _Drawing:
    """Draws pictures on one sheet if `output` is a PNG file, otherwise each into that folder."""

    def __init__(self, output: Path | None, classes: tuple[str, ...]) -> None:
        self.output = output
        self.classes = classes
        self.single = output is not None and output.suffix.lower() == ".png"
        self.drawn: list[Any] = []

    def add(self, number: int, picture: Picture, objects: Detections) -> None:
        from detector.deploy.drawing import draw, to_png
        from nars.files import write_whole

        if self.output is None or (self.single and len(self.drawn) == _SHEET):
            return
        image = draw(picture.pixels, objects, self.classes)
        if self.single:
            self.drawn.append(image)
        else:
            write_whole(self.output / f"{number:05}-{Path(picture.name).stem}.png", to_png(image))

    def finish(self, rows: list[dict[str, Any]]) -> None:
        from detector.deploy.drawing import sheet, to_png
        from nars.files import write_whole

        if self.output is None:
            return
        if self.single:
            write_whole(self.output, to_png(sheet(self.drawn)))
        else:
            write_whole(self.output / "results.json", json.dumps(rows))


def _summary(objects: Detections, classes: tuple[str, ...]) -> str:
    counts = Counter(classes[label - 1] for label in objects["labels"].tolist())
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
