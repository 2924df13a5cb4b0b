"""``nars train``: classification, in full."""

from __future__ import annotations

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
    metric_option,
    naming_source,
    seed_option,
    to_json,
)

if TYPE_CHECKING:
    from nars.spec import Candidate
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
@metric_option
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
    metric: str,
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
    from nars.training.metrics import named

    scored = named(metric)

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
        images = load(candidate.data, drop_bad=drop_bad).fitted(candidate.recipe.fit)
    for split in ("val", "test"):
        evaluation.check_metric(scored, images, split)
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
        console.print(f"{epoch}: loss {progress.loss:.4f}, val {metric} {progress.score:.4f}")
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
        metric=scored,
    )
    test = evaluation.evaluate(
        trained.model, images, "test", resolution=resolution, device=torch_device, metric=scored
    )
    numbers = {
        "val_accuracy": trained.val.accuracy,
        "test_accuracy": test.accuracy,
        "test_balanced_accuracy": test.balanced_accuracy,
        f"val_{metric}": trained.val.score,
        f"test_{metric}": test.score,
    }
    save_weights(
        output, trained.model, candidate, numbers, classes=images.classes, mean=images.mean, std=images.std
    )
    checkpoint.unlink(missing_ok=True)
    if as_json:
        click.echo(to_json(numbers | {"seconds": trained.curve[-1].seconds, "weights": str(output)}))
    else:
        scores = f"val {metric} {trained.val.score:.4f}, test {metric} {test.score:.4f}"
        click.echo(f"{scores}: written to {output}")


def _candidate(arch: str, data: str | None, recipe: str | None, epochs: int | None) -> Candidate:
    """The candidate to train, with the options in the place of what its file says."""
    from nars.searching import configure

    candidate = configure.candidate(arch)
    if recipe is not None:
        candidate = candidate.replace(recipe=configure.recipe(recipe))
    if epochs is not None:
        candidate = candidate.replace(recipe=candidate.recipe.replace(epochs=epochs))
    return candidate.replace(data=data_to_use(data, candidate.data, arch))
