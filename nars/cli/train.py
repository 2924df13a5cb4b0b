"""``nars train`` and ``nars evaluate``: classification, in full."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nars.cli.commands import GroupedCommand, StoppedError
from nars.cli.fields import given, options_of
from nars.cli.training import Destination, Results, Saving, training_progress
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
from nars.spec import Recipe

if TYPE_CHECKING:
    from nars.spec import Candidate
    from nars.training.evaluation import Metrics
    from nars.training.loop import Progress


GROUPS = {
    "Data": ("data", "drop_bad"),
    "Start": ("init", "weights"),
    "Recipe, instead of that in ARCH": ("recipe", *Recipe.model_fields),
    "Training": ("patience", "seed", "device"),
    "Output": ("output", "as_json"),
}
"""Options of ``nars train`` under the titles of its help."""


@click.command("train", cls=GroupedCommand, groups=GROUPS)
@click.argument("arch")
@data_option("ARCH")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("weights.pt"),
    show_default=True,
    help="FILE.pt or FILE.safetensors for the last weights alone; or a folder for the best and the last "
    "weights, results.csv, results.png and, if it is installed, TensorBoard's files.",
)
@click.option("--recipe", help="Recipe or candidate file to train with; options come before what it says.")
@click.option(
    "--patience",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Epochs without a better val score after which training stops; 0 means never.",
)
@init_option
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of `nars train` to start from; it has to be of the same architecture and classes.",
)
@seed_option
@drop_bad_option
@device_option
@json_option
@options_of(Recipe, defaults=False)
def train_command(
    arch: str,
    data: str | None,
    output: Path,
    recipe: str | None,
    patience: int,
    init: str,
    weights: Path | None,
    seed: int,
    drop_bad: bool,
    device: str,
    as_json: bool,
    **fields: Any,
) -> None:
    """Train ARCH, a candidate file or a published name, and write its weights.

    Without --data it trains on the data that ARCH was searched on. With --init it inherits what fits of a
    parent's weights, with --weights it starts from all of a file's; images are normalized as theirs. After
    a kill the same command continues from its last epoch (OUTPUT/checkpoint.pt or FILE.checkpoint).

    Example: nars train best.yaml --data photos/ -o trained
    """
    destination = Destination.of(output)  # a mistake is answered before torch is imported
    candidate = _candidate(arch, data, recipe, given(Recipe, fields))
    if weights is not None and init != "none":
        raise click.UsageError("--init inherits what fits and --weights loads all: give one of the two")

    from nars.data import load
    from nars.device import resolve, seeded
    from nars.networks.build import build
    from nars.parents.beginning import Beginning
    from nars.training import loop

    assert candidate.data is not None
    beginning = Beginning.of(init, weights)
    with naming_source(data, arch):
        images = beginning.as_seen(load(candidate.data, drop_bad=drop_bad))
    torch_device = resolve(device)
    with seeded(seed, torch_device):
        model = build(candidate.architecture, len(images.classes), candidate.recipe)
    begun = beginning.begin(model, candidate.architecture, images, torch_device)
    if not as_json:
        for line in filter(None, (begun, f"training on {candidate.data}")):
            click.echo(line, err=True)
    saving = Saving(candidate, images)
    try:
        with training_progress(_described, quiet=as_json) as (on_step, on_epoch):
            trained = loop.train(
                model,
                images,
                candidate.recipe,
                resolution=candidate.architecture.resolution,
                device=torch_device,
                seed=seed,
                outputs=loop.Outputs(
                    folder=destination.folder,
                    save=saving,
                    checkpoint=destination.checkpoint,
                    start=beginning.fingerprint,
                    patience=patience,
                    on_step=on_step,
                    on_epoch=on_epoch,
                ),
            )
    except KeyboardInterrupt:
        raise StoppedError(destination.continuation()) from None
    results = Results.of(destination, trained, saving, torch_device)
    if destination.folder is None:
        destination.checkpoint.unlink(missing_ok=True)
    else:
        results.draw(destination.folder / "results.png")
    for line in [to_json(results.to_dict())] if as_json else results.lines():
        click.echo(line)


def _candidate(arch: str, data: str | None, recipe: str | None, options: dict[str, Any]) -> Candidate:
    """The candidate to train, with the options in the place of what its file says."""
    from nars.searching import configure

    candidate = configure.candidate(arch)
    chosen = candidate.recipe if recipe is None else configure.recipe(recipe)
    return candidate.replace(recipe=chosen.replace(**options), data=data_to_use(data, candidate.data, arch))


def _described(progress: Progress) -> str:
    epoch = f"epoch {progress.epoch}/{progress.epochs}"
    return f"{epoch}: loss {progress.loss:.4f}, val accuracy {progress.accuracy:.4f}"


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
