"""``nars train`` and ``nars evaluate``: classification, in full."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nars.cli.values import data_option, device_option, json_option, to_json

if TYPE_CHECKING:
    from nars.training.evaluation import Metrics
    from nars.training.loop import Progress


@click.command()
@click.argument("arch")
@data_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("weights.pt"), show_default=True
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--recipe", help="Recipe or candidate file to train with, instead of that in ARCH.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--drop-bad", is_flag=True, help="Go on without images that cannot be read.")
@device_option
@json_option
def train(
    arch: str,
    data: str,
    output: Path,
    epochs: int | None,
    recipe: str | None,
    seed: int,
    drop_bad: bool,
    device: str,
    as_json: bool,
) -> None:
    """Train ARCH, a candidate file or a published name, and write its weights.

    After a kill the same command goes on from its last epoch (OUTPUT.checkpoint).

    Example: nars train best.yaml --data photos/ -o best.pt
    """
    from rich.console import Console

    from nars.data import load
    from nars.device import resolve, seeded
    from nars.networks.build import build
    from nars.networks.weights import save_weights
    from nars.searching import configure
    from nars.training.evaluation import evaluate as measure
    from nars.training.loop import train as fit

    found = configure.candidate(arch)
    if recipe is not None:
        found = found.replace(recipe=configure.recipe(recipe))
    if epochs is not None:
        found = found.replace(recipe=found.recipe.replace(epochs=epochs))
    images, place = load(data, drop_bad=drop_bad), resolve(device)
    with seeded(seed, place):
        model = build(found.architecture, len(images.classes), found.recipe)
    console = Console(stderr=True, quiet=as_json)

    def on_epoch(progress: Progress) -> bool:
        where = f"epoch {progress.epoch}/{progress.epochs}"
        console.print(f"{where}: loss {progress.loss:.4f}, val accuracy {progress.accuracy:.4f}")
        return True

    checkpoint = output.with_name(f"{output.name}.checkpoint")
    resolution = found.architecture.resolution
    trained = fit(
        model,
        images,
        found.recipe,
        resolution=resolution,
        device=place,
        seed=seed,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    metrics = measure(trained.model, images, "test", resolution=resolution, device=place)
    numbers = {
        "val_accuracy": trained.val.accuracy,
        "test_accuracy": metrics.accuracy,
        "test_balanced_accuracy": metrics.balanced_accuracy,
    }
    save_weights(
        output, trained.model, found, numbers, classes=images.classes, mean=images.mean, std=images.std
    )
    checkpoint.unlink(missing_ok=True)
    result = numbers | {"seconds": trained.curve[-1].seconds, "weights": str(output)}
    if as_json:
        click.echo(to_json(result))
    else:
        val, test = trained.val.accuracy, metrics.accuracy
        click.echo(f"val accuracy {val:.4f}, test accuracy {test:.4f}: written to {output}")


@click.command()
@click.argument("weights", type=click.Path(path_type=Path))
@data_option
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@click.option("--drop-bad", is_flag=True, help="Go on without images that cannot be read.")
@device_option
@json_option
def evaluate(weights: Path, data: str, split: str, drop_bad: bool, device: str, as_json: bool) -> None:
    """Score the network in WEIGHTS on a split of a data set.

    Example: nars evaluate weights.pt --data photos/ --split val
    """
    from nars.data import load
    from nars.device import resolve
    from nars.errors import WeightsError
    from nars.networks.weights import load_weights
    from nars.training.evaluation import evaluate as measure

    found, images, place = load_weights(weights), load(data, drop_bad=drop_bad), resolve(device)
    if images.classes != found.classes:
        mine, theirs = ", ".join(found.classes[:5]), ", ".join(images.classes[:5])
        raise WeightsError(f"{weights} was trained on other classes ({mine}) than {data} has ({theirs})")
    model = found.network().to(place)
    resolution = found.candidate.architecture.resolution
    metrics = measure(model, images, split, resolution=resolution, device=place)
    if as_json:
        click.echo(to_json(asdict(metrics) | {"classes": images.classes}))
    else:
        _print(metrics, images.classes, split)


def _print(metrics: Metrics, classes: tuple[str, ...], split: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("class", "recall", title=f"{metrics.images} {split} images", title_justify="left")
    for name, recall in zip(classes, metrics.recall, strict=True):
        table.add_row(name, "" if recall is None else f"{recall:.4f}")
    Console().print(table)
    top5 = "" if metrics.top5 is None else f", top-5 {metrics.top5:.4f}"
    balanced = f"balanced {metrics.balanced_accuracy:.4f}"
    click.echo(f"accuracy {metrics.accuracy:.4f}, {balanced}{top5}, loss {metrics.loss:.4f}")
