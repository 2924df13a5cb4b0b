"""``nars train``: classification, in full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nars.cli.commands import GroupedCommand, StoppedError
from nars.cli.options.fields import given, options_of
from nars.cli.options.reading import say_parts
from nars.cli.options.values import (
    also_from_option,
    data_option,
    data_to_use,
    device_option,
    drop_bad_option,
    init_or_auto_option,
    json_option,
    metric_option,
    naming_source,
    seed_option,
    to_json,
)
from nars.cli.options.weights import WeightsFile
from nars.cli.training import Destination, Results, Saving, training_progress
from nars.spec import Recipe

if TYPE_CHECKING:
    from nars.data import ImageData
    from nars.parents.beginning import Beginning
    from nars.spec import Candidate
    from nars.training.loop import Progress


_AUTO = "auto"
"""The name that leaves the choice of the parent to the images."""

GROUPS = {
    "Data": ("data", "drop_bad", "also_from"),
    "Start": ("init", "weights"),
    "Recipe, instead of that in ARCH": ("recipe", *Recipe.model_fields),
    "Training": ("metric", "patience", "seed", "device"),
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
@click.option("--recipe", help="Recipe or candidate file to train with; options override it.")
@click.option(
    "--patience",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Epochs without a better val score after which training stops; 0 means never.",
)
@init_or_auto_option
@metric_option
@click.option(
    "--weights",
    type=WeightsFile(),
    help="File of `nars train` to start from; it has to be of the same architecture and classes.",
)
@seed_option
@drop_bad_option
@also_from_option
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
    metric: str,
    weights: Path | None,
    seed: int,
    drop_bad: bool,
    device: str,
    as_json: bool,
    **fields: Any,
) -> None:
    """Train ARCH, a candidate file or a published name, and write its weights.

    Without --data it trains on the data that ARCH was searched on. With --init it inherits what fits of a
    parent's weights; with --weights it starts from all weights of a file. Images are then normalized as they
    were for these weights. After a kill, the same command continues from the last epoch
    (OUTPUT/checkpoint.pt or FILE.checkpoint). On several GPUs or machines:
    torchrun --nproc-per-node 4 -m nars train ...

    Example: nars train best.yaml --data photos/ -o trained
    """
    destination = Destination.of(output)  # a mistake is answered before torch is imported
    options = given(Recipe, fields)
    candidate = _candidate(arch, data, recipe, options)
    if weights is not None and init != "none":
        raise click.UsageError("--init inherits what fits and --weights loads all: give one of the two")

    from nars.data import load
    from nars.training.evaluation import check_metric
    from nars.training.metrics import named

    scored = named(metric)

    from nars import parallel
    from nars.device import seeded
    from nars.networks.build import build
    from nars.parents.beginning import Beginning
    from nars.training import loop
    from nars.training.teacher import check_teacher

    assert candidate.data is not None
    with parallel.joined(device) as torch_device:
        first = parallel.is_first()
        quiet = as_json or not first
        named_parent = Beginning.of(init, weights) if init != _AUTO else None
        if named_parent is not None:
            named_parent.check_inherits(candidate.architecture)
        with naming_source(data, arch):
            images = load(candidate.data, drop_bad=drop_bad).fitted(candidate.recipe.fit)
        beginning = named_parent or _suitable(candidate, images, quiet=not first)
        images = beginning.as_seen(images)
        for split in ("val", "test"):
            check_metric(scored, images, split)
        teacher = beginning.teacher(images.classes, torch_device)
        if teacher is None and "distill" not in options:
            candidate = _untaught(candidate, arch, quiet=quiet)
        if beginning.is_random and "frozen" not in options:
            candidate = _unfrozen(candidate, arch, quiet=quiet)
        check_teacher(candidate.recipe, teacher)
        with seeded(seed, torch_device):
            model = build(candidate.architecture, len(images.classes), candidate.recipe)
        begun = beginning.begin(model, candidate.architecture, images, torch_device)
        say_parts(images.parts, quiet=quiet)
        for line in [] if quiet else filter(None, (begun, f"training on {candidate.data}")):
            click.echo(line, err=True)
        saving = Saving(candidate, images, scored)
        try:
            with training_progress(_described(metric), output, quiet=quiet) as (on_step, on_epoch):
                trained = loop.train(
                    model,
                    images,
                    candidate.recipe,
                    resolution=candidate.architecture.resolution,
                    device=torch_device,
                    seed=seed,
                    teacher=teacher,
                    metric=scored,
                    outputs=loop.Outputs(
                        folder=destination.folder,
                        save=saving,
                        checkpoint=destination.checkpoint,
                        architecture=candidate.architecture,
                        start=beginning.fingerprint,
                        patience=patience,
                        on_step=on_step,
                        on_epoch=on_epoch,
                    ),
                )
        except KeyboardInterrupt:
            raise StoppedError(destination.continuation()) from None
    if first:  # after the other processes are released
        _show(Results.of(destination, trained, saving, torch_device), images, as_json=as_json)


def _show(results: Results, images: ImageData, *, as_json: bool) -> None:
    """Draw the training's history, print what it came to, and delete a checkpoint that nobody needs."""
    destination = results.destination
    if destination.folder is None:
        destination.checkpoint.unlink(missing_ok=True)
    else:
        results.draw(destination.folder / "results.png")
    numbers = results.to_dict() | {"parts": [part.row() for part in images.parts]}
    for line in [to_json(numbers)] if as_json else results.lines():
        click.echo(line)


def _suitable(candidate: Candidate, images: ImageData, *, quiet: bool) -> Beginning:
    """The parent that a search from these images would take, if the candidate can inherit from it."""
    from nars.parents.beginning import Beginning
    from nars.parents.choice import parent_for

    choice = parent_for(candidate.architecture, images.size)
    if not quiet:
        click.echo(f"--init auto takes {choice.name}: {choice.reason}", err=True)
    return Beginning.of(choice.name, None)


def _untaught(candidate: Candidate, arch: str, *, quiet: bool) -> Candidate:
    """The candidate with a recipe that needs no teacher, and a line about it if it had another."""
    if not candidate.recipe.distill:
        return candidate
    if not quiet:
        remedy = "--init with weights for the same classes, such as RUN/weights/reference.pt of its search"
        click.echo(f"{arch} is trained without a teacher, as there is none: {remedy} is one", err=True)
    return candidate.replace(recipe=candidate.recipe.replace(distill=0.0))


def _unfrozen(candidate: Candidate, arch: str, *, quiet: bool) -> Candidate:
    """The candidate with a recipe that freezes nothing, and a line about it if it had another."""
    if not candidate.recipe.frozen:
        return candidate
    if not quiet:
        click.echo(f"{arch} is trained without frozen stages, as its weights are random", err=True)
    return candidate.replace(recipe=candidate.recipe.replace(frozen=0.0))


def _candidate(arch: str, data: str | None, recipe: str | None, options: dict[str, Any]) -> Candidate:
    """The candidate to train, with the options in the place of what its file says."""
    from nars.searching import catalogue

    candidate = catalogue.candidate(arch)
    chosen = candidate.recipe if recipe is None else catalogue.recipe(recipe)
    return candidate.replace(recipe=chosen.replace(**options), data=data_to_use(data, candidate.data, arch))


def _described(metric: str) -> Callable[[Progress], str]:
    """Return the function that says in a line how an epoch went."""

    def describe(progress: Progress) -> str:
        epoch = f"epoch {progress.epoch}/{progress.epochs}"
        return f"{epoch}: loss {progress.loss:.4f}, val {metric} {progress.score:.4f}"

    return describe
