"""The training loop learns, continues after a kill, and shares its work."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import toys
from numpy.typing import NDArray
from toys import TRAINING, model, squares

from detector.data import scenes
from detector.data.records import CocoData
from detector.evaluation.loop import Evaluation, evaluate
from detector.model.catalogue import published
from detector.training.hyperparameters import _SHARED, LR, Training
from detector.training.loop import Outputs, TrainedDetector, train
from detector.training.plan import plan
from detector.training.progress import Epoch
from detector.weights.saved import load_detector
from nars import parallel
from nars.device import compiles
from nars.errors import DataError, NonFiniteLossError, RunError, UsageError
from nars.spec import Architecture, Block, Recipe
from nars.training.progress import Step

CPU = torch.device("cpu")

SCENES = Architecture(
    name="scenes",
    resolution=32,
    stages=(
        (Block(op="conv", channels=16, kernel=3),),
        (Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2),),
        (Block(op="mbconv", channels=24, kernel=3, expansion=3, stride=2),),
        (Block(op="mbconv", channels=48, kernel=3, expansion=3, stride=2, repeats=2),),
        (Block(op="mbconv", channels=80, kernel=3, expansion=3, stride=2, se="hsigmoid"),),
    ),
)


@pytest.fixture(scope="module")
def data() -> CocoData:
    return squares()


class KilledError(Exception):
    pass


def fit(data: CocoData, training: Training = TRAINING, seed: int = 0, **outputs: Any) -> TrainedDetector:
    return train(model(), data, training, device=CPU, seed=seed, outputs=Outputs(**outputs))


def curve(trained: TrainedDetector) -> list[tuple[Any, ...]]:
    return [(epoch.lr, epoch.losses, epoch.samples, epoch.scores) for epoch in trained.history]


def states_equal(one: TrainedDetector, other: TrainedDetector) -> bool:
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_learns_squares(data: CocoData) -> None:
    trained = fit(data, TRAINING.replace(epochs=14, lr=0.05))
    # Untrained detectors reach 0.00 to 0.03 here.
    assert trained.evaluation.boxes.ap50 > 0.5
    assert trained.history[-1].losses["loss"] < 0.6 * trained.history[0].losses["loss"]
    assert trained.best.ap == max(epoch.ap or 0 for epoch in trained.history)
    assert not trained.model.training


def test_a_training_of_one_step_learns(data: CocoData) -> None:
    every = TRAINING.replace(epochs=1, warmup_epochs=1.0, batch_size=64)
    trained = fit(data, every)
    assert trained.history[0].lr == pytest.approx(every.recipe(64).lr)
    pairs = zip(model().parameters(), trained.model.parameters(), strict=True)
    assert any(not torch.equal(*pair) for pair in pairs)


def test_a_short_training_waits_for_no_kernels_to_be_compiled(data: CocoData) -> None:
    compiled = set()
    fit(data, TRAINING.replace(epochs=1), on_step=lambda _: compiled.add(compiles()))
    assert compiled == {False}
    assert compiles()


@pytest.mark.slow
def test_overfits_eight_scenes() -> None:
    """Every batch has all eight, because fewer have other statistics than the measurement."""
    whole = scenes.make(train=8, val=1)
    data = CocoData(whole.train, replace(whole.train, name="val"))
    planned = plan(SCENES, data, CPU, settings={"shortest": (128,), "longest": 160, "norm": "bn"})
    training = Training(
        epochs=240, batch_size=8, lr=0.1, lr_images=8, flip=0, ema_decay=0.98, evaluate_every=240
    )
    trained = train(planned.build(10, 0), data, training, device=CPU, seed=0)
    assert trained.evaluation.boxes.ap > 0.9


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_resumed_equals_uninterrupted(data: CocoData, tmp_path: Path, stop: int) -> None:
    """Killed after step `stop` of 12; checkpoints are written every 3 steps and after each epoch of 4."""
    steps = 0

    def kill(_: Step) -> None:
        nonlocal steps
        steps += 1
        if steps == stop:
            raise KilledError

    augmented = TRAINING.replace(flip=0.5, photometric=0.5, jitter=(0.8, 1.2))
    with pytest.raises(KilledError):
        fit(data, augmented, folder=tmp_path, checkpoint_steps=3, on_step=kill)
    resumed = fit(data, augmented, folder=tmp_path, checkpoint_steps=3)
    whole = fit(data, augmented)
    assert curve(resumed) == curve(whole)
    assert states_equal(resumed, whole)


def test_seed_decides(data: CocoData) -> None:
    runs = [fit(data, TRAINING.replace(epochs=1), seed=seed) for seed in (0, 1, 0)]
    assert curve(runs[0]) == curve(runs[2])
    assert curve(runs[0]) != curve(runs[1])


def numbers_of(evaluation: Evaluation) -> NDArray[np.float64]:
    """Return image, class, score and box of every detection [n, 7]."""
    return np.array(
        [
            [result["image_id"], result["category_id"], result["score"], *result["bbox"]]
            for result in evaluation.results
        ]
    )


def test_files(data: CocoData, tmp_path: Path) -> None:
    trained = fit(data, folder=tmp_path)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["loss"]) == trained.history[-1].losses["loss"]
    assert float(rows[-1]["ap"]) == trained.evaluation.boxes.ap
    assert float(rows[0]["box_objects"]) + float(rows[0]["box_background"]) <= 24  # box_samples
    assert float(rows[0]["rpn_objects"]) + float(rows[0]["rpn_background"]) == 32  # rpn_samples

    last = load_detector(tmp_path / "weights" / "last.pt")
    assert last.classes == toys.CLASSES
    assert last.settings == toys.SETTINGS
    assert last.metrics["ap"] == trained.evaluation.boxes.ap
    found = evaluate(last.detector(), data, device=CPU)
    # On some processors weights that were read give another last bit than those that were trained.
    np.testing.assert_allclose(numbers_of(found), numbers_of(trained.evaluation), rtol=1e-5, atol=1e-4)
    best = load_detector(tmp_path / "weights" / "best.pt")
    assert best.metrics["ap"] == trained.best.ap

    # The same command again finds nothing left to do, and another training is refused.
    again = fit(data, folder=tmp_path)
    assert states_equal(again, trained)
    with pytest.raises(RunError, match="of another training: seed was 0, is 1"):
        fit(data, seed=1, folder=tmp_path)
    with pytest.raises(RunError, match="of another training: data"):
        fit(squares(seed=1), folder=tmp_path)


def test_only_the_first_process_writes(
    data: CocoData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "is_first", lambda: False)
    fit(data, TRAINING.replace(epochs=1), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_gets_the_numbers_of_the_table(
    data: CocoData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "tensorboard")

        def add_scalar(self, *scalar: Any) -> None:
            written.append(scalar)

        def flush(self) -> None: ...

        def close(self) -> None:
            written.append(("closed", 0, 0))

    monkeypatch.setattr("nars.training.logs.find_spec", lambda name: name)
    monkeypatch.setattr("nars.training.logs.import_module", lambda _: SimpleNamespace(SummaryWriter=Writer))
    trained = fit(data, TRAINING.replace(epochs=2), folder=tmp_path)
    assert ("ap", trained.history[1].ap, 2) in written
    assert ("loss_classifier", trained.history[0].losses["loss_classifier"], 1) in written
    assert written[-1][0] == "closed"


def test_early_stopping(data: CocoData) -> None:
    # At this rate the AP never rises above its first value.
    trained = fit(data, TRAINING.replace(lr=1e-9, epochs=30, patience=2, ema=False))
    aps = [epoch.ap for epoch in trained.history]
    assert len(aps) == aps.index(max(ap or 0 for ap in aps)) + 3


def test_measures_when_asked_and_at_the_end(data: CocoData) -> None:
    trained = fit(data, TRAINING.replace(evaluate_every=2))
    assert [epoch.scores is not None for epoch in trained.history] == [False, True, True]
    stopped = fit(data, TRAINING.replace(evaluate_every=2), on_epoch=lambda _: False)
    assert len(stopped.history) == 1
    assert stopped.evaluation.boxes.ap >= 0


@pytest.mark.parametrize("optimizer", LR)
def test_every_optimizer_learns(data: CocoData, optimizer: Any) -> None:
    lr = 0.05 if optimizer == "sgd" else 5e-3
    trained = fit(data, TRAINING.replace(optimizer=optimizer, lr=lr, epochs=5, evaluate_every=5))
    # Better proposals give the box head more to do, so the sum of losses rises at first.
    losses = [epoch.losses["loss_objectness"] for epoch in trained.history]
    assert losses[-1] < 0.9 * losses[0]


def test_masks_are_trained(data: CocoData) -> None:
    trained = train(model(mask=True), data, TRAINING.replace(epochs=1), device=CPU, seed=0)
    assert trained.history[0].losses["loss_mask"] > 0
    assert trained.evaluation.masks is not None
    assert trained.history[0].ap == trained.evaluation.masks.ap


def test_an_object_of_val_without_a_mask_is_told_before_the_first_epoch(data: CocoData) -> None:
    last = data.val.annotations[-1]
    val = replace(data.val, annotations=(*data.val.annotations[:-1], last._replace(segmentation=None)))
    steps: list[Step] = []
    with pytest.raises(DataError, match=rf"annotation {last.id} has no segmentation.* or leave out --mask"):
        train(
            model(mask=True),
            CocoData(data.train, val),
            TRAINING.replace(epochs=1),
            device=CPU,
            seed=0,
            outputs=Outputs(on_step=steps.append),
        )
    assert not steps


def test_batches_without_boxes_train(data: CocoData) -> None:
    empty = replace(data.train, annotations=())
    trained = fit(CocoData(empty, data.val), TRAINING.replace(epochs=1))
    assert trained.history[0].samples["box_objects"] == 0
    assert trained.history[0].losses["loss_box_reg"] == 0
    assert 0 < trained.history[0].losses["loss"] < 10


def test_divergence_names_the_images(data: CocoData) -> None:
    with pytest.raises(NonFiniteLossError, match=r"step \d+ of 4, of the images squares/train-\d+\.png"):
        fit(data, TRAINING.replace(lr=1e6, warmup_epochs=0, clip_norm=0, ema=False))


def test_frozen_stages_stay(data: CocoData) -> None:
    network = model(freeze=1)
    before = {name: value.clone() for name, value in network.backbone.trunk.stages[0].state_dict().items()}
    train(network, data, TRAINING.replace(epochs=1), device=CPU, seed=0)
    after = network.backbone.trunk.stages[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_loader_and_detector_must_not_both_resize(data: CocoData) -> None:
    with pytest.raises(UsageError, match="resize_in_training off"):
        train(model(resize_in_training=True), data, TRAINING, device=CPU, seed=0)


def test_recipe_of_a_search_applies() -> None:
    recipe = Recipe(optimizer="sgd", lr=0.4, batch_size=64, ema=True, ema_decay=0.95, epochs=7, mixup=0.2)
    training = Training.of_recipe(recipe)
    assert Training.unused(recipe) == ("mixup",)
    assert training.recipe(images=16).lr == 0.4
    made = training.recipe(images=4)
    assert made.lr == pytest.approx(0.1)
    assert (made.epochs, made.ema_decay, made.weight_decay) == (7, 0.95, recipe.weight_decay)
    assert training.flip == 0  # the recipe only shifts
    assert Training.of_recipe(recipe.replace(augmentation="flip_shift")).flip == 0.5
    photos = recipe.replace(
        augmentation="flip", mixup=0.0, crop_area=0.5, policy="trivial_augment", frozen=0.5
    )
    assert Training.of_recipe(photos).flip == 0.5
    assert Training.unused(photos) == ("crop_area", "policy", "frozen")


def test_every_field_of_both_a_recipe_and_a_training_is_accounted_for() -> None:
    both = Recipe.model_fields.keys() & Training.model_fields.keys()
    assert both == {*_SHARED, "lr", "batch_size"}


@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 4.0), ("adamw", 2.0), ("rmsprop", 2.0)])
def test_rate_scales_with_the_batch(optimizer: Any, factor: float) -> None:
    training = Training(optimizer=optimizer)
    assert training.recipe(64).lr == pytest.approx(factor * LR[optimizer])


def test_plan_fits_sizes_and_anchors_to_the_data(data: CocoData) -> None:
    from search_spaces import published as architecture

    planned = plan(architecture("fbnetv3_a"), data, CPU)
    assert planned.settings.shortest == (224,)  # its resolution, though the images are smaller
    assert planned.settings.box_samples == 64
    sizes = planned.settings.anchor_sizes[0]
    assert min(sizes) >= 10 * 224 / 60  # squares of 10 to 20 pixels in images whose shorter side is 48
    assert max(sizes) <= 20 * 224 / 48
    given = plan("fbnetv3a_dsmask_c4", data, CPU)
    assert given.settings.anchor_sizes == ((32, 64, 96, 128, 160),)
    assert given.parts == published("fbnetv3a_dsmask_c4")


def test_cuda_keeps_the_published_numbers_of_regions(data: CocoData) -> None:
    planned = plan("fbnetv3a_c4", data, torch.device("cuda"))
    assert (planned.settings.box_samples, planned.settings.train_proposals) == (512, 2000)


def test_progress_counts_down(data: CocoData) -> None:
    steps: list[Step] = []
    epochs: list[Epoch] = []
    fit(
        data,
        TRAINING.replace(epochs=2),
        on_step=steps.append,
        on_epoch=lambda epoch: epochs.append(epoch) is None,
    )
    assert [(step.epoch, step.step) for step in steps] == [(e, s) for e in (1, 2) for s in (1, 2, 3, 4)]
    assert steps[-1].seconds_left == 0
    assert [epoch.epoch for epoch in epochs] == [1, 2]


@pytest.mark.gpu
def test_learns_squares_on_a_gpu(data: CocoData) -> None:
    training = TRAINING.replace(epochs=20, lr=0.05)
    trained = train(model(), data, training, device=torch.device("cuda"), seed=0)
    assert trained.evaluation.boxes.ap50 > 0.5
    on_gpu = evaluate(trained.model, data, device=torch.device("cuda"), amp=False)
    on_cpu = evaluate(trained.model.cpu(), data, device=CPU)
    assert on_gpu.boxes.ap == pytest.approx(on_cpu.boxes.ap, abs=0.01)


@pytest.mark.gpu
def test_continues_from_a_checkpoint_on_a_gpu(data: CocoData, tmp_path: Path) -> None:
    device = torch.device("cuda")
    outputs = Outputs(folder=tmp_path, on_epoch=lambda epoch: epoch.epoch < 2)
    first = train(model(), data, TRAINING, device=device, seed=0, outputs=outputs)
    resumed = train(model(), data, TRAINING, device=device, seed=0, outputs=Outputs(folder=tmp_path))
    assert curve(resumed)[:2] == curve(first)
    assert len(resumed.history) == TRAINING.epochs
