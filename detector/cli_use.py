"""``nars detect predict`` and ``nars detect export``: a trained detector at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nars.cli.values import device_option, json_option, to_json

if TYPE_CHECKING:
    from detector.predict import Output, Picture

_SHEET = 12
"""Pictures on one sheet."""


@click.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="FILE.png: one picture of the first twelve; or a folder for every picture and results.json.",
)
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Least score.")
@click.option("--every", type=click.IntRange(min=1), default=1, help="Of a video, every so many frames.")
@click.option("--drop-bad", is_flag=True, help="Go on without pictures that cannot be read.")
@device_option
@json_option
def predict(
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
    from detector.predict import pictures, results
    from detector.predict import predict as find
    from detector.saved import load_detector
    from nars.device import resolve

    saved, place = load_detector(weights), resolve(device)
    model = saved.detector().to(place)
    drawing = _Drawing(output, saved.classes)
    rows: list[dict[str, Any]] = []
    found = find(model, pictures(sources, drop_bad=drop_bad, every=every), place)
    for number, (picture, outputs) in enumerate(found, start=1):
        sure = {name: values[outputs["scores"] >= threshold] for name, values in outputs.items()}
        rows += results(number, picture, sure, saved.classes)
        drawing.add(number, picture, sure)
        if not as_json:
            click.echo(f"{picture.name}: {_summary(sure, saved.classes)}")
    drawing.finish(rows)
    if as_json:
        click.echo(to_json(rows))
    elif output is not None:
        click.echo(f"written to {output}")


class _Drawing:
    """Pictures on one sheet where `output` is a PNG file, else each in that folder."""

    def __init__(self, output: Path | None, classes: tuple[str, ...]) -> None:
        self.output = output
        self.classes = classes
        self.single = output is not None and output.suffix.lower() == ".png"
        self.drawn: list[Any] = []

    def add(self, number: int, picture: Picture, found: Output) -> None:
        from detector.drawing import draw, to_png
        from nars.files import write_whole

        if self.output is None or (self.single and len(self.drawn) == _SHEET):
            return
        image = draw(picture.pixels, found, self.classes)
        if self.single:
            self.drawn.append(image)
        else:
            write_whole(self.output / f"{number:05}-{Path(picture.name).stem}.png", to_png(image))

    def finish(self, rows: list[dict[str, Any]]) -> None:
        import json

        from detector.drawing import sheet, to_png
        from nars.files import write_whole

        if self.output is None:
            return
        if self.single:
            write_whole(self.output, to_png(sheet(self.drawn)))
        else:
            write_whole(self.output / "results.json", json.dumps(rows))


def _summary(found: Output, classes: tuple[str, ...]) -> str:
    from collections import Counter

    counts = Counter(classes[label - 1] for label in found["labels"].tolist())
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
