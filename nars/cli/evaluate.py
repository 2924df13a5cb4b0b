"""``nars evaluate``: trained weights, scored on a split of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nars.cli.options.reading import measured_whole, say_parts
from nars.cli.options.values import (
    also_from_option,
    data_option,
    data_to_use,
    device_option,
    drop_bad_option,
    json_option,
    metric_option,
    naming_source,
    to_json,
)
from nars.cli.options.weights import weights_argument
from nars.foreign.names import printable

if TYPE_CHECKING:
    from rich.table import Table
    from torch import nn

    from nars.data import ImageData
    from nars.networks.weights import Weights
    from nars.training.evaluation import Metrics

_WHOLE = 10
"""Classes up to which all classes and the whole confusion matrix are shown, in 80 columns."""

_SHOWN = 10
"""Classes and confusions that are shown if there are more."""

_TITLES = {"balanced_accuracy": "balanced", "macro_f1": "macro F1", "auroc": "AUROC"}
"""How metrics are called in the last line."""

_NAME = 24
"""Characters of a class's name that are shown."""


@click.command("evaluate")
@weights_argument
@data_option("WEIGHTS")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    help="Part of the data to score on; by default test, or all of other data that have no splits.",
)
@metric_option
@drop_bad_option
@also_from_option
@device_option
@json_option
def evaluate_command(
    weights: Path,
    data: str | None,
    split: str | None,
    metric: str,
    drop_bad: bool,
    device: str,
    as_json: bool,
) -> None:
    """Score the network in WEIGHTS on a split of a data set, class by class.

    Without --data it is scored on the data that it was trained on.

    Example: nars evaluate weights.pt --data photos/ --split val --metric macro_f1
    """
    from nars.training.metrics import named

    scored = named(metric)  # a mistake is answered before torch is imported

    import torch

    from nars.data import load
    from nars.device import resolve
    from nars.errors import WeightsError
    from nars.networks.weights import load_weights
    from nars.training import evaluation

    trained = load_weights(weights)
    source = data_to_use(data, trained.candidate.data, weights)
    with naming_source(data, weights):
        is_other = measured_whole(data, trained.candidate.data)
        whole = split is None and is_other
        images = load(source, drop_bad=drop_bad, whole=whole).fitted(trained.candidate.recipe.fit)
    say_parts(images.parts, quiet=as_json)
    split = split or "test"
    if not as_json and not is_other and _is_cut_anew(trained, images, split):
        changed = f"{source} has changed since the training of {weights}"
        click.echo(f"{changed}: some of these {split} images may have been trained on", err=True)
    if not Counter(images.classes) <= Counter(trained.classes):
        raise WeightsError(_difference(weights, trained.classes, source, images.classes))
    images, absent = _with_all_classes(images, trained.classes)
    if absent and not as_json:
        click.echo(f"{source} has no images of {', '.join(map(repr, map(printable, absent)))}", err=True)
    order = tuple(map(trained.classes.index, images.classes))
    scored = replace(scored, order=order)  # a function counts classes as it did in the training
    evaluation.check_metric(scored, images, split)
    images = images.normalized(torch.tensor(trained.mean), torch.tensor(trained.std))
    torch_device = resolve(device)
    metrics = evaluation.evaluate(
        _in_order(trained, order).to(torch_device),
        images,
        split,
        resolution=trained.candidate.architecture.resolution,
        device=torch_device,
        metric=scored,
        auroc=True,
    )
    if as_json:
        click.echo(
            to_json(
                asdict(metrics)
                | {
                    "metric": metric,
                    "classes": images.classes,
                    "classes_without_images": absent,
                    "parts": [part.row() for part in images.parts],
                }
            )
        )
    else:
        part = "" if len(images.parts) == 1 else f"{split} "
        _show(metrics, metric, images.classes, f"{metrics.images} {part}images of {source}")


def _is_cut_anew(trained: Weights, images: ImageData, split: str) -> bool:
    """Whether a split was cut from other images than in the training, so not in the same way."""
    from nars.data.decoding import CUT

    known = (None, images.fingerprint, *images.earlier_fingerprints)
    is_cut = any(part.name == split and CUT in part.notes for part in images.parts)
    return is_cut and trained.data_fingerprint not in known


def _difference(weights: Path, mine: tuple[str, ...], source: str, theirs: tuple[str, ...]) -> str:
    """Say how the classes of weights and data differ: by the first class that only the data have."""
    differs = f"{weights} was trained on {len(mine)} classes, {source} has {len(theirs)}"
    for name in (each for each in theirs if each not in mine):
        return f"{differs}: {name!r} is not among those of {weights}"
    return f"{differs}: some in different numbers"


def _with_all_classes(images: ImageData, classes: tuple[str, ...]) -> tuple[ImageData, tuple[str, ...]]:
    """The images, whose classes are followed by the others of `classes`, and those others.

    A network that answers with a class that the data do not have is then wrong, and is seen to be.
    """
    absent = tuple(name for name in classes if name not in images.classes)
    return replace(images, classes=(*images.classes, *absent)) if absent else images, absent


def _in_order(trained: Weights, order: Sequence[int]) -> nn.Module:
    """The network whose logit k is that of its class ``order[k]``."""
    from nars.deploy.reordered import Reordered

    network = trained.network()
    return network if list(order) == sorted(order) else Reordered(network, order)


def _show(metrics: Metrics, metric: str, classes: tuple[str, ...], title: str) -> None:
    from nars.cli.console import plain_console, print_table

    console = plain_console()
    print_table(console, *_class_table(metrics, classes, title))
    titled = _matrix(metrics, classes) if len(classes) <= _WHOLE else _confusions(metrics, classes)
    if titled is not None:
        print_table(console, *titled)
    shares = {
        _TITLES.get(metric, metric): metrics.score,
        "accuracy": metrics.accuracy,
        "balanced": metrics.balanced_accuracy,
        "macro F1": metrics.macro_f1,
        "AUROC": metrics.auroc,
        "top-5": metrics.top5,
        "loss": metrics.loss,
    }
    click.echo(", ".join(f"{name} {value:.4f}" for name, value in shares.items() if value is not None))


def _class_table(metrics: Metrics, classes: tuple[str, ...], title: str) -> tuple[str, Table]:
    """The title and the scores of every class or, of many, of those with the lowest F1."""
    from rich.table import Table

    numbers = list(range(len(classes)))
    if len(classes) > _WHOLE:
        known = [number for number in numbers if metrics.f1[number] is not None]
        numbers = sorted(known, key=lambda number: metrics.f1[number] or 0.0)[:_SHOWN]
        title = f"{title}: the {len(numbers)} worst of {len(classes)} classes"
    table = Table()
    table.add_column("class")
    for name in ("images", "recall", "precision", "F1"):
        table.add_column(name, justify="right")
    for number in numbers:
        shares = (metrics.recall[number], metrics.precision[number], metrics.f1[number])
        shown = ("" if share is None else f"{share:.4f}" for share in shares)
        table.add_row(_short(classes[number]), str(sum(metrics.confusion[number])), *shown)
    return title, table


def _matrix(metrics: Metrics, classes: tuple[str, ...]) -> tuple[str, Table]:
    """The title and the whole confusion matrix, its columns numbered like its rows."""
    from rich.table import Table

    table = Table(box=None)
    table.add_column("")
    for number in range(len(classes)):
        table.add_column(str(number + 1), justify="right")
    for number, row in enumerate(metrics.confusion):
        cells = (str(count) if count else "." for count in row)
        table.add_row(f"{number + 1} {_short(classes[number])}", *cells)
    return "images by class (rows) and answer (columns)", table


def _confusions(metrics: Metrics, classes: tuple[str, ...]) -> tuple[str, Table] | None:
    """The title and the most frequent mistakes; None without any."""
    from rich.table import Table

    from nars.training.confusion import most_confused

    mistakes = most_confused(metrics.confusion, _SHOWN)
    if not mistakes:
        return None
    table = Table()
    table.add_column("class")
    table.add_column("answer")
    table.add_column("images", justify="right")
    for label, answer, images in mistakes:
        table.add_row(
            _short(classes[label]),
            _short(classes[answer]),
            f"{images} of {sum(metrics.confusion[label])}",
        )
    return "most frequent mistakes", table


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 3]}..."
