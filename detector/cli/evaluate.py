"""``nars detect evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from detector.cli.options import DATA, drop_bad_option, workers_option
from nars.cli.options.reading import measured_whole, say_parts
from nars.cli.options.values import (
    also_from_option,
    data_to_use,
    device_option,
    json_option,
    naming_source,
    to_json,
)
from nars.cli.options.weights import weights_argument


@click.command("evaluate")
@weights_argument
@click.option("--data", help=f"{DATA}; by default the data that WEIGHTS was trained on.")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    help="Part of the data to measure on; by default val, or all of other data that have no parts.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for pictures and results.json.")
@click.option(
    "--tool",
    type=click.Choice(["pycocotools", "faster-coco-eval"]),
    default="pycocotools",
    show_default=True,
    help="Equal numbers; the second is quicker on large sets.",
)
@click.option("--latency", is_flag=True, help="Measure the time per image on this machine, too.")
@click.option(
    "--score-threshold", type=click.FloatRange(0, 1), help="Lowest score, instead of the detector's own."
)
@drop_bad_option
@also_from_option
@workers_option
@device_option
@json_option
def evaluate_command(
    weights: Path,
    data: str | None,
    split: str | None,
    output: Path | None,
    tool: Literal["pycocotools", "faster-coco-eval"],
    latency: bool,
    score_threshold: float | None,
    drop_bad: bool,
    workers: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure the detector in WEIGHTS: COCO's AP by IoU, size and class, MACs and parameters.

    Without --data it is measured on the data that it was trained on. With -o the precision-recall
    curves, the confusion matrix and every detection are written there, with the image and category ids
    of the data. Classes are matched by their names.

    Example: nars detect evaluate detection/weights/best.pt --data COCO_DIR -o measured
    """
    from detector.cli.display import show_cost, show_scores
    from detector.data.check import usable
    from detector.evaluation import loop
    from detector.evaluation.figures import write_figures
    from detector.evaluation.interval import ap_interval
    from detector.evaluation.remarks import remarks
    from detector.evaluation.renumbered import matched
    from detector.evaluation.timing import time_detector
    from detector.model.cost import count
    from detector.weights.saved import load_detector
    from nars.device import resolve

    saved = load_detector(weights)
    data_name = data_to_use(data, saved.data, weights)
    torch_device = resolve(device)
    with naming_source(data, weights):
        whole = "val" if split is None and measured_whole(data, saved.data) else None
        if split == "test":
            whole, split = "test", "val"  # in whose place it is read
        split = split or "val"
        records = usable(data_name, drop_bad=drop_bad, needs=(split,), whole=whole)
    say_parts(records.parts, quiet=as_json)
    wanted = saved if score_threshold is None else saved.with_threshold(score_threshold)
    model = wanted.detector().to(torch_device)
    renumbered = matched(model, saved.classes, records, str(weights))
    evaluation = loop.evaluate(renumbered, records, split, device=torch_device, workers=workers, tool=tool)
    said = remarks(records.subset(split), model.settings)
    interval = ap_interval(records, evaluation, split)
    cost = count(model)
    speed = time_detector(model, records, split, torch_device) if latency else None
    if output is not None:
        write_figures(evaluation, records, split, output)
    if as_json:
        numbers: dict[str, Any] = evaluation.numbers() | {
            "macs": cost.macs,
            "params": cost.params,
            "macs_at": [cost.side, cost.longer],
            "latency": None if speed is None else speed.median,
            "ap_interval": interval,
            "remarks": said,
            "per_class": dict(evaluation.main.per_class),
            "parts": [part.row() for part in records.parts],
        }
        click.echo(to_json(numbers))
        return
    show_scores(evaluation, said, interval)
    show_cost(cost, speed)
    if output is not None:
        click.echo(f"pictures and results.json: {output}")
