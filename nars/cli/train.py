"""``nars train`` and ``nars evaluate``: classification, in full."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nars.cli.values import (
    data_option,
    data_to_use,
    device_option,
    drop_bad_option,
    init_option,
    json_option,
    naming_source,
    seed_option,
    to_json,
)

if TYPE_CHECKING:
    from nars.spec import Candidate
    from nars.training.evaluation import Metrics
    from nars.training.loop import Progress


@click.command("train")
@click.argument("arch")
@data_option("ARCH")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("weights.pt"),
    show_default=True,
    help="File for the trained weights.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs to train instead of the recipe's.")
@click.option("--recipe", help="Recipe or candidate file to train with, instead of the recipe in ARCH.")
@init_option
@seed_option
@drop_bad_option
@device_option
@json_option
def train_command(
    arch: str,
    data: str | None,
    output: Path,
    epochs: int | None,
    recipe: str | None,
    init: str,
    seed: int,
    drop_bad: bool,
    device: str,
    as_json: bool,
) -> None:
    """Train ARCH, a candidate file or a published name, and write its weights.

    Without --data it trains on the data that ARCH was searched on. With --init it inherits what fits of a
    parent's weights, and images are normalized as the parent's. After a kill the same command continues from
    its last epoch (OUTPUT.checkpoint).

    Example: nars train best.yaml --data photos/ -o best.pt
    """
    candidate = _candidate(arch, data, recipe, epochs)  # a mistake is answered before torch is imported

    from rich.console import Console

    from nars.data import load
    from nars.device import resolve, seeded
    from nars.networks.build import build
    from nars.networks.weights import save_weights
    from nars.parents.sources import parent
    from nars.parents.start import as_seen_by, judged, start
    from nars.training import evaluation, loop

    assert candidate.data is not None
    origin = parent(init)
    with naming_source(data, arch):
        images = load(candidate.data, drop_bad=drop_bad)
    torch_device = resolve(device)
    console = Console(stderr=True, quiet=as_json)
    with seeded(seed, torch_device):
        model = build(candidate.architecture, len(images.classes), candidate.recipe)
    if origin is not None:
        images = as_seen_by(origin, images)
        origin = judged(origin, candidate.architecture, images, torch_device)
        inherited = start(model, candidate.architecture, origin, images, torch_device)
        console.print(f"inherited {inherited.share:.1%} of the parameters from {init}")
    console.print(f"training on {candidate.data}")

    def on_epoch(progress: Progress) -> bool:
        epoch = f"epoch {progress.epoch}/{progress.epochs}"
        console.print(f"{epoch}: loss {progress.loss:.4f}, val accuracy {progress.accuracy:.4f}")
        return True

    if output.is_dir():
        raise click.UsageError(f"-o {output} is a folder: give the name of a file")
    checkpoint = output.with_name(f"{output.name}.checkpoint")
    resolution = candidate.architecture.resolution
    trained = loop.train(
        model,
        images,
        candidate.recipe,
        resolution=resolution,
        device=torch_device,
        seed=seed,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    test = evaluation.evaluate(trained.model, images, "test", resolution=resolution, device=torch_device)
    numbers = {
        "val_accuracy": trained.val.accuracy,
        "test_accuracy": test.accuracy,
        "test_balanced_accuracy": test.balanced_accuracy,
    }
    save_weights(
        output, trained.model, candidate, numbers, classes=images.classes, mean=images.mean, std=images.std
    )
    checkpoint.unlink(missing_ok=True)
    if as_json:
        click.echo(to_json(numbers | {"seconds": trained.curve[-1].seconds, "weights": str(output)}))
    else:
        accuracies = f"val accuracy {trained.val.accuracy:.4f}, test accuracy {test.accuracy:.4f}"
        click.echo(f"{accuracies}: written to {output}")


def _candidate(arch: str, data: str | None, recipe: str | None, epochs: int | None) -> Candidate:
    """The candidate to train, with the options in the place of what its file says."""
    from nars.searching import configure

    candidate = configure.candidate(arch)
    if recipe is not None:
        candidate = candidate.replace(recipe=configure.recipe(recipe))
    if epochs is not None:
        candidate = candidate.replace(recipe=candidate.recipe.replace(epochs=epochs))
    return candidate.replace(data=data_to_use(data, candidate.data, arch))


@click.command("evaluate")
@click.argument("weights", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option("WEIGHTS")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Part of the data to score on.",
)
@drop_bad_option
@device_option
@json_option
def evaluate_command(
    weights: Path, data: str | None, split: str, drop_bad: bool, device: str, as_json: bool
) -> None:
    """Score the network in WEIGHTS on a split of a data set.

    Without --data it is scored on the data that it was trained on.

    Example: nars evaluate weights.pt --data photos/ --split val
    """
    import torch

    from nars.data import load
    from nars.device import resolve
    from nars.errors import WeightsError
    from nars.networks.weights import load_weights
    from nars.training import evaluation

    trained = load_weights(weights)
    source = data_to_use(data, trained.candidate.data, weights)
    with naming_source(data, weights):
        images = load(source, drop_bad=drop_bad)
    if images.classes != trained.classes:
        mine, theirs = ", ".join(trained.classes[:5]), ", ".join(images.classes[:5])
        raise WeightsError(f"{weights} was trained on other classes ({mine}) than {source} has ({theirs})")
    images = images.normalized(torch.tensor(trained.mean), torch.tensor(trained.std))
    torch_device = resolve(device)
    metrics = evaluation.evaluate(
        trained.network().to(torch_device),
        images,
        split,
        resolution=trained.candidate.architecture.resolution,
        device=torch_device,
    )
    if as_json:
        click.echo(to_json(asdict(metrics) | {"classes": images.classes}))
    else:
        _show(metrics, images.classes, f"{metrics.images} {split} images of {source}")


def _show(metrics: Metrics, classes: tuple[str, ...], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("class", "recall", title=title, title_justify="left")
    for name, recall in zip(classes, metrics.recall, strict=True):
        table.add_row(name, "" if recall is None else f"{recall:.4f}")
    Console().print(table)
    top5 = "" if metrics.top5 is None else f", top-5 {metrics.top5:.4f}"
    balanced = f"balanced {metrics.balanced_accuracy:.4f}"
    click.echo(f"accuracy {metrics.accuracy:.4f}, {balanced}{top5}, loss {metrics.loss:.4f}")
