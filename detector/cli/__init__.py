"""``nars detect``: the detector, from COCO-format data to a file for deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detector.cli.use import export, predict
from detector.model.settings import Settings
from detector.training.hyperparameters import Training
from nars.cli.fields import asked, options_of
from nars.cli.values import device_option, json_option, to_json

if TYPE_CHECKING:
    from detector.weights.saved import SavedDetector
    from nars.spec import Architecture

_DATA = "digit-scenes"

_data = click.option(
    "--data",
    default=_DATA,
    show_default=True,
    help="digit-scenes, or a folder in COCO's, Pascal VOC's or YOLO's format.",
)
_drop_bad = click.option("--drop-bad", is_flag=True, help="Go on without images and boxes that are bad.")
_workers = click.option(
    "--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that load images."
)
_weights = click.argument("weights", type=click.Path(path_type=Path))


@click.group()
def detect() -> None:
    """Train, evaluate, run and export the detector.

    Example: nars detect train best.yaml --data COCO_DIR --weights best.pt
    """


detect.add_command(predict)
detect.add_command(export)


@detect.command()
@click.argument("arch")
@_data
@click.option("--weights", help="A classifier of `nars train`, or a published checkpoint by file or name.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("detection"), show_default=True)
@click.option("--recipe", help="Recipe or candidate file to train with, instead of that in ARCH.")
@click.option(
    "--anchors", type=click.Choice(["auto", "given"]), help="auto: fitted to the boxes of the training data."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_drop_bad
@_workers
@device_option
@json_option
@options_of(Training)
@options_of(Settings, skip=("pixels", "resize_in_training"))
def train(
    arch: str,
    data: str,
    weights: str | None,
    output: Path,
    recipe: str | None,
    anchors: str | None,
    seed: int,
    drop_bad: bool,
    workers: int,
    device: str,
    as_json: bool,
    **fields: Any,
) -> None:
    """Train the detector of ARCH: a searched candidate's file, a published name, a detector's .pt.

    OUTPUT gets weights/best.pt, weights/last.pt, results.csv and results.png. After a kill the same command
    goes on from its last checkpoint. On several GPUs or machines: torchrun --nproc-per-node 4 -m
    nars detect train ...

    Example: nars detect train best.yaml --data COCO_DIR --weights best.pt --epochs 50
    """
    from detector import distributed
    from detector.cli.display import progress, show_scores, spoken
    from detector.data.check import usable
    from detector.training.history import draw_history
    from detector.training.loop import Outputs
    from detector.training.loop import train as fit
    from detector.training.plan import plan
    from nars.report.plots import save_png

    training, unused = _training(arch, recipe, data, asked(Training, fields))
    with distributed.joined(device) as place, spoken(quiet=as_json or not distributed.is_first()):
        found = usable(data, drop_bad=drop_bad)
        planned = plan(
            _source(arch),
            found,
            place,
            weights=weights,
            settings=asked(Settings, fields),
            fit_anchors=None if anchors is None else anchors == "auto",
        )
        model = planned.build(len(found.classes), seed)
        quiet = as_json or not distributed.is_first()
        if unused and not quiet:
            click.echo(f"of the recipe, {', '.join(unused)} have no meaning for a detector", err=True)
        with progress(quiet=quiet) as (on_step, on_epoch):
            outputs = Outputs(folder=output, workers=workers, on_step=on_step, on_epoch=on_epoch)
            trained = fit(model, found, training, device=place, seed=seed, outputs=outputs)
        if not distributed.is_first():
            return
    save_png(draw_history(trained.history), output / "results.png")
    best = trained.best
    result = trained.evaluation.numbers() | {
        "best_ap": best.ap,
        "best_epoch": best.epoch,
        "epochs": len(trained.history),
        "seconds": trained.history[-1].seconds,
        "weights": str(output / "weights" / "best.pt"),
    }
    if as_json:
        click.echo(to_json(result | {"per_class": dict(trained.evaluation.main.per_class)}))
        return
    show_scores(trained.evaluation)
    click.echo(f"best epoch {best.epoch}: AP {best.ap:.4f}: written to {output / 'weights' / 'best.pt'}")


@detect.command()
@_weights
@_data
@click.option("--split", type=click.Choice(["train", "val"]), default="val", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for pictures and results.json.")
@click.option(
    "--tool",
    type=click.Choice(["pycocotools", "faster-coco-eval"]),
    default="pycocotools",
    show_default=True,
    help="Equal numbers; the second is quicker on large sets.",
)
@click.option("--latency", is_flag=True, help="Measure the time of an image on this machine, too.")
@click.option("--score-threshold", type=click.FloatRange(0, 1), help="Instead of the detector's own.")
@_drop_bad
@_workers
@device_option
@json_option
def evaluate(
    weights: Path,
    data: str,
    split: str,
    output: Path | None,
    tool: Any,
    latency: bool,
    score_threshold: float | None,
    drop_bad: bool,
    workers: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure the detector in WEIGHTS: COCO's AP by IoU, size and class, MACs and parameters.

    With -o the precision-recall curves, the confusion matrix and every detection are left there.

    Example: nars detect evaluate detection/weights/best.pt --data COCO_DIR -o measured
    """
    from detector.cli.display import show_cost, show_scores
    from detector.data.check import usable
    from detector.evaluation.coco_ap import check_classes
    from detector.evaluation.coco_ap import evaluate as measure
    from detector.evaluation.figures import write_figures
    from detector.evaluation.timing import time_detector
    from detector.model.cost import count
    from detector.weights.saved import load_detector
    from nars.device import resolve

    saved, place = load_detector(weights), resolve(device)
    found = usable(data, drop_bad=drop_bad, needs=(split,))
    check_classes(saved.classes, found, str(weights))
    model = _detector(saved, score_threshold).to(place)
    evaluation = measure(model, found, split, device=place, workers=workers, tool=tool)
    cost = count(model)
    speed = time_detector(model, found, split, place) if latency else None
    if output is not None:
        write_figures(evaluation, found, split, output)
    numbers: dict[str, Any] = evaluation.numbers() | {"macs": cost.macs, "params": cost.params}
    numbers["macs_at"] = cost.side
    numbers["latency"] = None if speed is None else speed.median
    if as_json:
        click.echo(to_json(numbers | {"per_class": dict(evaluation.main.per_class)}))
        return
    show_scores(evaluation)
    show_cost(cost, speed)
    if output is not None:
        click.echo(f"pictures and results.json: {output}")


def _training(
    arch: str, recipe: str | None, data: str, chosen: dict[str, Any]
) -> tuple[Training, tuple[str, ...]]:
    """Of a recipe where there is one, with what it says in vain; what was asked for comes first."""
    from nars.searching import configure
    from nars.spec import Candidate, read

    found = configure.recipe(recipe) if recipe is not None else None
    if found is None and arch.endswith((".yaml", ".yml")):
        described = read(arch)
        found = described.recipe if isinstance(described, Candidate) else None
    if data == _DATA:
        chosen.setdefault("flip", 0.0)  # a mirrored digit is none
    if found is None:
        return Training(**chosen), ()
    return Training.of_recipe(found).replace(**chosen), Training.unused(found)


def _source(arch: str) -> Architecture | SavedDetector | str:
    from detector.model import catalogue
    from detector.weights.saved import load_detector
    from nars.errors import UsageError, closest
    from nars.searching import configure

    if arch.endswith((".pt", ".safetensors")):
        return load_detector(arch)
    if arch.endswith((".yaml", ".yml")) or arch in configure.published_names():
        return configure.candidate(arch).architecture
    try:
        catalogue.published(arch)
    except UsageError:
        known = (*catalogue.names(), *configure.published_names())
        message = f"no detector or architecture is called {arch!r}: {closest(arch, known)}"
        raise UsageError(message) from None
    return arch


def _detector(saved: SavedDetector, score_threshold: float | None) -> Any:
    """The saved detector with another threshold where one is asked for."""
    from dataclasses import replace

    if score_threshold is not None:
        saved = replace(saved, settings=saved.settings.replace(score_threshold=score_threshold))
    return saved.detector()
