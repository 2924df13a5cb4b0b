"""``nars detect train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detector.cli.options import DATA, drop_bad_option, workers_option
from detector.cli.source import source_in, training_of
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.training.hyperparameters import Training
from nars.cli.commands import GroupedCommand
from nars.cli.options.fields import given, options_of
from nars.cli.options.reading import say_parts
from nars.cli.options.values import (
    also_from_option,
    data_to_use,
    device_option,
    init_option,
    json_option,
    naming_source,
    seed_option,
)

if TYPE_CHECKING:
    from detector.training.plan import Plan
    from detector.weights.parents import DetectorParent

GROUPS = {
    "Data": ("data", "drop_bad", "also_from", "workers"),
    "Training": (
        "init",
        "weights",
        "recipe",
        "optimizer",
        "lr",
        "lr_images",
        "weight_decay",
        "momentum",
        "epochs",
        "batch_size",
        "warmup_epochs",
        "ema",
        "ema_decay",
        "clip_norm",
        "amp",
        "patience",
        "evaluate_every",
        "seed",
        "device",
    ),
    "Augmentation": ("flip", "jitter", "photometric", "mosaic"),
    "Model": (
        "shortest",
        "longest",
        "norm",
        "freeze",
        "anchors",
        "anchor_sizes",
        "anchor_ratios",
        "pooler_resolution",
        "mask",
        "mask_pooler_resolution",
    ),
    "Region proposals": (
        "rpn_background_iou",
        "rpn_object_iou",
        "rpn_samples",
        "rpn_positives",
        "rpn_nms",
        "train_candidates",
        "train_proposals",
        "test_candidates",
        "test_proposals",
    ),
    "Boxes": (
        "box_background_iou",
        "box_object_iou",
        "box_samples",
        "box_positives",
        "smooth_l1",
        "score_threshold",
        "box_nms",
        "detections",
    ),
    "Output": ("output", "as_json"),
}
"""Options of ``nars detect train`` under the titles of its help."""


@click.command("train", cls=GroupedCommand, groups=GROUPS)
@click.argument("arch")
@click.option("--data", help=f"{DATA}; by default the data named in ARCH.")
@init_option
@click.option("--weights", help="A detector, a classifier, or a published checkpoint by file or name.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("detection"),
    show_default=True,
    help="Folder for the trained detector.",
)
@click.option("--recipe", help="Recipe or candidate file to train with, instead of the recipe in ARCH.")
@click.option(
    "--anchors", type=click.Choice(["auto", "given"]), help="auto: fitted to the boxes of the training data."
)
@seed_option
@drop_bad_option
@also_from_option
@workers_option
@device_option
@json_option
@options_of(Training, defaults=False)
@options_of(Settings, skip=("pixels", "resize_in_training"), defaults=False)
def train_command(
    arch: str,
    data: str | None,
    init: str,
    weights: str | None,
    output: Path,
    recipe: str | None,
    anchors: str | None,
    seed: int,
    drop_bad: bool,
    workers: int | None,
    device: str,
    as_json: bool,
    **fields: Any,
) -> None:
    """Train the detector of ARCH: a searched candidate's file, a published name, a detector's .pt.

    Without --data it trains on the data that ARCH was searched on. With --init the detector inherits what
    fits of a classifier or of another detector, and sees pixels as that does. Without a recipe, the epochs
    depend on the number of images, and a training from weights is what a search's fine-tunings are. OUTPUT
    gets weights/best.pt, weights/last.pt, results.csv and results.png. After a kill the same command
    continues from its last checkpoint. On several GPUs or machines: torchrun --nproc-per-node 4 -m nars
    detect train ...

    Example: nars detect train best.yaml --data COCO_DIR --weights best.pt --epochs 50
    """
    if weights is not None and init != "none":
        raise click.UsageError("--init inherits what fits and --weights loads a file: give one of the two")
    settings = given(Settings, fields)
    if anchors == "auto" and (own := {"anchor_sizes", "anchor_ratios"} & settings.keys()):
        words = " and ".join(f"--{name.replace('_', '-')}" for name in sorted(own))
        raise click.UsageError(f"--anchors auto fits sizes and ratios to the boxes: leave out {words}")
    source = source_in(arch)  # a mistake is answered before torch is imported
    data_name = data_to_use(data, source.data, arch)
    options = given(Training, fields)
    training, unused = training_of(recipe, source.recipe, data_name, options)

    from detector.cli.display import logging_to_stderr, progress
    from detector.cli.outcome import Outcome
    from detector.data.check import usable
    from detector.evaluation.remarks import remarks
    from detector.space.planned import planned_for
    from detector.space.reference import fine_tuning, from_scratch
    from detector.space.remarks import remarks_on
    from detector.training import loop
    from detector.training.start import started
    from nars import parallel

    with parallel.joined(device) as torch_device:
        first = parallel.is_first()
        quiet = as_json or not first
        with logging_to_stderr(quiet=quiet):
            parent = _parent(init)
            with naming_source(data, arch):
                records = usable(data_name, drop_bad=drop_bad)
            say_parts(records.parts, quiet=quiet)
            fit = None if anchors is None else anchors == "auto"
            planned = planned_for(
                source.detector,
                records,
                torch_device,
                weights=weights,
                parent=parent,
                settings=settings,
                fit_anchors=fit,
            )
            if recipe is None and source.recipe is None:
                recommended = fine_tuning if planned.has_weights else from_scratch
                default = recommended(len(records.train.images))
                training, _ = training_of(None, None, data_name, options, default=default)
            if not quiet and "freeze" not in settings and _is_thawed(source.detector, planned):
                click.echo(f"{arch} is trained without frozen stages, as its weights are random", err=True)
            model = started(planned, records, torch_device, seed)
            missed = remarks_on(model, records)
            for sentence in () if quiet else missed:
                click.echo(sentence, err=True)
            if unused and not quiet:
                click.echo(f"of the recipe, {', '.join(unused)} have no meaning for a detector", err=True)
            with progress(output, quiet=quiet) as (on_step, on_epoch):
                outputs = loop.Outputs(output, data_name, workers, on_step=on_step, on_epoch=on_epoch)
                trained = loop.train(
                    model, records, training, device=torch_device, seed=seed, outputs=outputs
                )
    if first:  # after the other processes are released
        from detector.training.history import draw_history
        from nars.report.plots import save_png

        outcome = Outcome.of(trained, records, training, torch_device, output)
        save_png(draw_history(trained.history), output / "results.png")
        said = remarks(records.val, model.settings)
        if as_json:
            outcome.show_json(remarks=[*missed, *said], parts=[part.row() for part in records.parts])
        else:
            outcome.show(said)


def _is_thawed(source: object, planned: Plan) -> bool:
    """Whether the stages that a searched detector freezes are trained, since all weights are random."""
    is_frozen = isinstance(source, DetectorCandidate) and source.settings.freeze > 0
    return is_frozen and not planned.has_weights


def _parent(init: str) -> DetectorParent | None:
    """The parent that ``--init`` names."""
    if init == "none":
        return None
    from detector.weights.parents import parent_called

    return parent_called(init)
