"""``nars detect predict`` and ``nars detect export``: a trained detector at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nars.cli.values import device_option, json_option, to_json

if TYPE_CHECKING:
    from detector.deploy.predict import Picture
    from detector.model.targets import Detections

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
    from detector.deploy.predict import pictures, results
    from detector.deploy.predict import predict as find
    from detector.weights.saved import load_detector
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


@click.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "pt2", "torchscript"]),
    default="onnx",
    show_default=True,
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images at a time.")
@click.option("--int8", is_flag=True, help="8 bits for CPUs, as ONNX, calibrated on training images.")
@click.option(
    "--calibrate", type=click.IntRange(min=1), default=64, show_default=True, help="Images for --int8."
)
@click.option(
    "--data",
    default="digit-scenes",
    show_default=True,
    help="Where the images come from that the file is compared, calibrated and measured on.",
)
@click.option("--drop-bad", is_flag=True, help="Go on without images and boxes that are bad.")
@json_option
def export(
    weights: Path,
    output: Path,
    form: str,
    batch: int,
    int8: bool,
    calibrate: int,
    data: str,
    drop_bad: bool,
    as_json: bool,
) -> None:
    """Write the detector in WEIGHTS as a file that runs without nars.

    It takes RGB images in 0..1, resized already, and gives boxes, labels, scores and the index of the
    image that each is in. The file is run on real images and compared with the detector before it
    is left there; --int8 prints the AP before and after.

    Example: nars detect export detection/weights/best.pt -o detector.onnx --data COCO_DIR
    """
    from detector.data.check import usable
    from detector.deploy.export import export as write
    from detector.deploy.quantize import quantize
    from detector.evaluation.coco_ap import check_classes
    from detector.weights.saved import load_detector

    if int8 and (form != "onnx" or batch > 1):
        raise click.UsageError("--int8 goes with --format onnx and --batch 1")
    saved = load_detector(weights)
    found = usable(data, drop_bad=drop_bad, needs=("train", "val") if int8 else ("val",))
    if int8:
        check_classes(saved.classes, found, str(weights))
        quantized = quantize(saved, found, output, images=calibrate)
        before, after = quantized.before, quantized.after
        numbers: dict[str, Any] = {
            "path": str(output),
            "bytes": quantized.bytes,
            "float_bytes": quantized.float_bytes,
            "ap_before": before.ap,
            "ap_after": after.ap,
        }
        sizes = f"{quantized.float_bytes / 1e6:.2f} MB in float32, {quantized.bytes / 1e6:.2f} MB in int8"
        text = f"AP {before.ap:.4f} before, {after.ap:.4f} after; {sizes}"
    else:
        done = write(saved, found, output, form, batch=batch)
        numbers = done.to_dict()
        compared = f"{done.detections} detections in real images"
        text = f"largest deviation {done.deviation:.1e} over {compared}; sizes: {done.sizes}"
    click.echo(to_json(numbers) if as_json else f"written to {output}: {text}")


class _Drawing:
    """Pictures on one sheet where `output` is a PNG file, else each in that folder."""

    def __init__(self, output: Path | None, classes: tuple[str, ...]) -> None:
        self.output = output
        self.classes = classes
        self.single = output is not None and output.suffix.lower() == ".png"
        self.drawn: list[Any] = []

    def add(self, number: int, picture: Picture, found: Detections) -> None:
        from detector.deploy.drawing import draw, to_png
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

        from detector.deploy.drawing import sheet, to_png
        from nars.files import write_whole

        if self.output is None:
            return
        if self.single:
            write_whole(self.output, to_png(sheet(self.drawn)))
        else:
            write_whole(self.output / "results.json", json.dumps(rows))


def _summary(found: Detections, classes: tuple[str, ...]) -> str:
    from collections import Counter

    counts = Counter(classes[label - 1] for label in found["labels"].tolist())
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
