from __future__ import annotations

from typing import Any

import pytest
import torch
from small_detector import BATCH, QUICK, TARGETS, picture, quick, target
from torch import Tensor, nn

import detector
from detector.model.detector import Detector
from detector.model.pasting import paste
from detector.model.settings import Pixels, Settings
from nars.errors import DataError, NonFiniteLossError, SpecError, UsageError
from nars.networks.norms import Norm
from search_spaces import space


@pytest.mark.parametrize("norm", ["bn", "gn", "naive_sync_bn", "naive_sync_bn_weighted", "frozen_bn"])
@pytest.mark.parametrize("mask", [False, True])
def test_trains_and_predicts(norm: Norm, mask: bool) -> None:
    model = quick(norm=norm, mask=mask).train()
    losses = model(BATCH, TARGETS)
    assert set(losses) == {
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_classifier",
        "loss_box_reg",
        *(["loss_mask"] if mask else []),
    }
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert 0 < model.counts["rpn_objects"] + model.counts["rpn_background"] <= QUICK.rpn_samples
    assert 0 < model.counts["box_objects"] + model.counts["box_background"] <= QUICK.box_samples

    with torch.no_grad():
        results = model.eval()(BATCH)
    for result, image in zip(results, BATCH, strict=True):
        count = len(result["boxes"])
        assert result["labels"].shape == result["scores"].shape == (count,)
        assert (result["scores"].diff() <= 0).all()
        assert not count or result["labels"].min() >= 1
        assert not count or result["labels"].max() <= 3
        if mask:
            assert result["masks"].shape == (count, 1, *image.shape[1:])
            assert result["masks"].dtype == torch.bool


@pytest.mark.parametrize("norm", ["bn", "gn"])
@pytest.mark.parametrize("mask", [False, True])
def test_a_batch_without_any_box_trains(norm: Norm, mask: bool) -> None:
    model = quick(norm=norm, mask=mask).train()
    losses = model(BATCH, [target(), target(size=(64, 96))])
    assert losses["loss_box_reg"] == losses["loss_rpn_box_reg"] == 0
    assert losses["loss_objectness"] > 0
    assert losses["loss_classifier"] > 0
    assert losses.get("loss_mask", torch.tensor(0.0)) == 0
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name  # else workers would wait for one another for ever
        assert torch.isfinite(parameter.grad).all(), name
    assert all(torch.isfinite(buffer).all() for buffer in model.buffers())
    assert model.counts["box_objects"] == model.counts["rpn_objects"] == 0


def test_without_any_proposal_it_still_trains() -> None:
    model = quick(mask=True).train()
    batch = model.batch(BATCH, [target(), target(size=(64, 96))])
    nothing, invalid = torch.zeros(2, 5, 4), torch.zeros(2, 5, dtype=torch.bool)
    losses = model.roi_heads.losses(model.backbone(batch.images), nothing, invalid, batch.slots)
    assert all(loss == 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(torch.isfinite(buffer).all() for buffer in model.buffers())


@pytest.mark.parametrize("mask", [False, True])
def test_an_image_without_detections(mask: bool) -> None:
    model = quick(mask=mask, score_threshold=1.0).eval()
    with torch.no_grad():
        (result,) = model([picture(50, 70)])
    assert result["boxes"].shape == (0, 4)
    assert not mask or result["masks"].shape == (0, 1, 50, 70)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (2000, 3), (33, 47)])
def test_images_of_any_size(size: tuple[int, int]) -> None:
    model = quick().eval()
    with torch.no_grad():
        (result,) = model([picture(*size)])
    assert (result["boxes"] >= 0).all()
    assert (result["boxes"][:, 2:] <= torch.tensor(size[::-1])).all()
    model.train()
    losses = model([picture(*size)], [target([0, 0, size[1], size[0]], size=size)])
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_searched_architecture_trains_and_predicts() -> None:
    micro = space("micro")
    architecture = micro.decode(micro.encode(_first_of(micro))).architecture
    torch.manual_seed(0)
    model = detector.build(architecture, 2, settings=QUICK.replace(mask=True))
    assert model.backbone.strides == (8,)
    losses = model.train()(BATCH, [target([4, 4, 40, 40]), target(size=(64, 96))])
    sum(losses.values()).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter -= 1e-3 * parameter.grad
        results = model.eval()(BATCH)
    assert len(results) == 2


def _first_of(micro: Any) -> Any:
    values = {
        name: each.low if hasattr(each, "low") else each.choices[0]
        for name, each in micro.distributions.items()
    }
    return micro.decode(values)


def test_a_few_steps_lower_the_loss() -> None:
    """Both heads learn from the same picture."""
    model = quick().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    totals = []
    for _ in range(40):
        loss = sum(model(BATCH[:1], TARGETS[:1]).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(loss.item())
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])  # 0.3 to 0.65 by what each step samples


def test_labels_and_boxes_reach_the_right_columns() -> None:
    """Class k is column k - 1 of the scores, the background the last, and deltas are those of class k."""
    heads = quick().roi_heads
    labels = torch.tensor([0, 1, 3])
    sure = torch.full((3, 4), -50.0)
    sure[0, 3] = sure[1, 0] = sure[2, 2] = 50.0
    deltas = torch.full((3, 12), 7.0)
    deltas[1, 0:4], deltas[2, 8:12] = 1.0, 2.0
    wanted = torch.tensor([[9.0] * 4, [1.0] * 4, [2.5] * 4])
    classes, boxes = heads._box_losses(sure, deltas, labels, wanted, torch.ones(3, dtype=torch.bool))
    assert classes.item() == pytest.approx(0, abs=1e-6)
    assert boxes.item() == pytest.approx(4 * 0.5 / 3)  # L1 of the third proposal, over three


def test_overlaps_between_the_bounds_are_ignored() -> None:
    """In both heads, a low overlap means background, a high one an object, and one between is ignored."""
    box = torch.tensor([[0.0, 0, 10, 10]])
    others = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 6], [0, 0, 10, 2]])  # overlaps of .9, .6 and .2
    bounds = {"background_iou": 0.4, "object_iou": 0.7}
    changes = {f"{head}_{name}": value for head in ("rpn", "box") for name, value in bounds.items()}
    model = quick(**changes)
    _, (in_box_head,) = model.roi_heads.assign_targets_to_proposals([others], [box], [torch.tensor([2])])
    assert in_box_head.tolist() == [2, -1, 0]
    (in_rpn,), _ = model.rpn.assign_targets_to_anchors([others], [{"boxes": box}])
    assert in_rpn.tolist() == [1, -1, 0]


def test_frozen_stages_keep_weights_and_statistics() -> None:
    model = quick(freeze=2).train()
    stages = model.backbone.trunk.stages
    before = [{name: each.clone() for name, each in stage.state_dict().items()} for stage in stages]
    optimizer = torch.optim.SGD(
        [parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1
    )
    sum(model(BATCH, TARGETS).values()).backward()
    optimizer.step()
    for index, stage in enumerate(stages):
        changed = {
            name for name, each in stage.state_dict().items() if not torch.equal(each, before[index][name])
        }
        assert bool(changed) == (index >= 2), changed
        assert all(parameter.requires_grad == (index >= 2) for parameter in stage.parameters())
        assert stage.training == (index >= 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_boxes_are_decoded_in_float32_under_autocast(dtype: torch.dtype) -> None:
    model = quick().eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype):
        maps = model.backbone(torch.rand(1, 3, 64, 64))
        logits, deltas = model.rpn.head(list(maps.values()))
        assert {each.dtype for each in (*logits, *deltas)} == {torch.float32}
        (result,) = model(BATCH[:1])
    assert result["boxes"].dtype == torch.float32
    losses = model.train()
    with torch.autocast("cpu", dtype=dtype):
        losses = model(BATCH, TARGETS)
    assert all(torch.isfinite(loss) for loss in losses.values())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_proposals_that_are_not_finite_name_their_image(bad: float) -> None:
    model = quick(norm="gn").train()  # keeps images apart, which a norm would mix
    broken = BATCH[1].clone()
    broken[0, 0, 0] = bad
    with pytest.raises(NonFiniteLossError, match="image 1 of the batch"):
        model([BATCH[0], broken], TARGETS)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_pixels_are_normalized_as_published(order: Any) -> None:
    pixels = Pixels(order=order, mean=(10, 20, 30), std=(1, 2, 4))
    transform = quick(pixels=pixels).transform
    image = torch.tensor([0.2, 0.4, 0.6])[:, None, None].expand(3, 2, 2)
    found = transform.normalize(image)[:, 0, 0]
    seen = torch.tensor([51.0, 102, 153])  # RGB on the scale of 0..255
    expected = ((seen.flip(0) if order == "bgr" else seen) - torch.tensor([10.0, 20, 30])) / torch.tensor(
        [1, 2, 4]
    )
    torch.testing.assert_close(found, expected)


def test_boxes_come_back_in_pixels_of_the_image() -> None:
    transform = quick().eval().transform
    images, _ = transform([picture(128, 160)])
    assert images.image_sizes == [(64, 80)]
    seen = {"boxes": torch.tensor([[8.0, 4, 80.5, 64], [80.0, 3, 81, 4]]), "scores": torch.tensor([0.9, 0.8])}
    (found,) = transform.postprocess([seen], images.image_sizes, [(128, 160)])
    assert found["boxes"].tolist() == [[16, 8, 160, 128]]  # rescaled and clipped; the second has no area left
    assert found["scores"].tolist() == pytest.approx([0.9])


def test_resizing_in_training_can_be_left_to_the_loader() -> None:
    here, _ = quick().train().transform([picture(128, 160)], [target([8, 8, 80, 80], size=(128, 160))])
    there, (kept,) = (
        quick(resize_in_training=False).train().transform([picture(128, 160)], [target([8, 8, 80, 80])])
    )
    assert here.image_sizes == [(64, 80)]
    assert there.image_sizes == [(128, 160)]
    assert kept["boxes"].tolist() == [[8, 8, 80, 80]]


def test_pasted_masks_follow_their_boxes() -> None:
    """A mask that is full in its right half fills the right half of its box, to a pixel's centre."""
    mask = torch.tensor([0.0, 0, 1, 1]).expand(1, 1, 4, 4)
    pasted = paste(mask, torch.tensor([[10.0, 4, 30, 8]]), (12, 40))
    inside = pasted[0, 0].nonzero()
    assert inside[:, 0].unique().tolist() == [4, 5, 6, 7]
    assert inside[:, 1].unique().tolist() == list(range(20, 30))


class Single(nn.Module):
    """Takes one image and returns tensors, as exporters want it."""

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model([image])[0].values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.create_unbacked_symint:FutureWarning")  # torchvision's nms uses it
@pytest.mark.parametrize("mask", [False, True])
def test_exports(mask: bool) -> None:
    """A graph traced with one image agrees with the model on another image with other counts."""
    model = quick(mask=mask, score_threshold=0.2).eval()
    model.transform.pastes_masks = False
    first, second = picture(64, 96), picture(64, 96, seed=5)
    graph = torch.export.export(Single(model), (first,), strict=False).module()
    counts = set()
    for image in (first, second):
        with torch.no_grad():
            expected, found = Single(model)(image), graph(image)
        counts.add(len(expected[0]))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert len(counts) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze": 4}, "freeze must be at most the 3 stages of small, got 4"),
        ({"pooler_resolution": 1}, "pooler_resolution must be at least 2 for a head of stride 2, got 1"),
        ({"mask": True, "mask_pooler_resolution": 1}, "mask_pooler_resolution must be at least 2"),
        ({"anchor_sizes": ((8,), (16,))}, "one list for each of c4, so 1, got 2"),
    ],
)
def test_settings_that_do_not_fit_the_parts_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((SpecError, UsageError), match=message):
        quick(**changes)


def test_a_detector_without_mask_rows_has_no_mask_head() -> None:
    with pytest.raises(SpecError, match="fbnetv3b_c4 has no mask head, so mask must be off"):
        detector.build("fbnetv3b_c4", 3, settings=Settings(mask=True))


def test_a_detector_has_classes() -> None:
    with pytest.raises(UsageError, match="1 class or more, got 0"):
        detector.build("fbnetv3a_c4", 0)


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        ([], [], "at least one image"),
        ([torch.rand(1, 8, 8)], [target()], r"image 0 of the batch must be RGB float \[3, H, W\]"),
        ([torch.zeros(3, 8, 8, dtype=torch.uint8)], [target()], "got torch.uint8"),
        (BATCH, None, "a target for each of the 2 images, got none"),
        (BATCH, TARGETS[:1], "a target for each of the 2 images, got 1"),
        (BATCH, [TARGETS[0], {"boxes": torch.rand(1, 4)}], "target 1 of the batch: has no labels"),
        (BATCH, [target([5, 5, 5, 9]), TARGETS[1]], "target 0 of the batch: boxes must have a width"),
        (
            BATCH,
            [TARGETS[0] | {"labels": torch.tensor([1, 4])}, TARGETS[1]],
            r"labels must be 1..3, got 1..4",
        ),
        (
            BATCH,
            [TARGETS[0] | {"labels": torch.tensor([0, 1])}, TARGETS[1]],
            r"labels must be 1..3, got 0..1",
        ),
        (BATCH, [TARGETS[0] | {"labels": torch.tensor([1])}, TARGETS[1]], r"whole numbers \[2\]"),
    ],
)
def test_unfit_input_is_refused(images: Any, targets: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        quick().train()(images, targets)
