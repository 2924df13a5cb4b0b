"""The training step as a whole: what it computes, and what it must not do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from no_waiting import no_waiting
from small_detector import BATCH, TARGETS, quick
from torch.utils._python_dispatch import TorchDispatchMode

from detector.model.detector import Detector
from detector.model.roi_heads.pooling import Pooler
from detector.model.settings import Settings

READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::unique_dim"}
"""Operations for whose result a GPU has to wait."""


class NoReading(TorchDispatchMode):
    """Fails on operations that read a value back, or whose result's shape depends on values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        assert name not in READS, name
        if name in ("aten::index", "aten::index_put", "aten::index_put_"):
            assert all(index is None or index.dtype != torch.bool for index in args[1]), name
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mask", [False, True])
def test_a_step_reads_nothing_back(mask: bool) -> None:
    model = quick(mask=mask).train()
    batch = model.batch(BATCH, TARGETS)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    with NoReading():
        sum(model(batch).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with pytest.raises(AssertionError, match="nonzero"), NoReading():
        torch.ones(3).nonzero()


@pytest.mark.gpu
@pytest.mark.parametrize("mask", [False, True])
def test_a_gpu_need_not_wait_in_a_step(mask: bool) -> None:
    model = quick(mask=mask).train().cuda()
    targets = [{name: each.cuda() for name, each in target.items()} for target in TARGETS]
    batch = model.batch([image.cuda() for image in BATCH], targets)
    sum(model(batch).values()).backward()  # what is made once per shape
    with no_waiting():
        sum(model(batch).values()).backward()


def test_losses_are_those_of_one_image_after_the_other() -> None:
    """Nothing is drawn, so numbers are comparable: these are of version 0.1, which had a loop over images."""
    model = whole(norm="gn", mask=True)
    losses = model(BATCH, TARGETS)
    expected = {
        "loss_classifier": 1.3976205587387085,
        "loss_box_reg": 0.00037825392792001367,
        "loss_mask": 0.6933718919754028,
        "loss_objectness": 0.00668844161555171,
        "loss_rpn_box_reg": 1.8056090993923135e-05,
    }
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(expected, rel=1e-5)
    counts = {name: count.item() for name, count in model.counts.items()}
    assert counts == {"rpn_objects": 1, "rpn_background": 832.5, "box_objects": 1, "box_background": 20}


def test_more_slots_change_nothing() -> None:
    few, many = whole(norm="gn", mask=True), whole(norm="gn", mask=True)
    first = few(few.batch(BATCH, TARGETS))
    second = many(many.batch(BATCH, TARGETS, slots=24))
    for name, loss in first.items():
        torch.testing.assert_close(loss, second[name], rtol=1e-5, atol=1e-7)


def whole(**changes: Any) -> Detector:
    """Return a detector in training whose heads take every anchor and every proposal."""
    every = {"rpn_samples": 100_000, "rpn_positives": 1.0, "box_samples": 100_000, "box_positives": 1.0}
    model = quick(**every, **changes).train()
    with torch.no_grad():
        for layer in (model.rpn.head.cls_logits, model.rpn.head.bbox_pred):
            layer.weight *= 10
    return model


def test_a_pyramid_pools_a_whole_batch_as_one_image_after_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    pooler = Pooler(["p3", "p4", "p5"], [8, 16, 32], 3)
    maps = {
        f"p{level}": torch.rand(2, 4, 512 >> level, 512 >> level, generator=generator) for level in (3, 4, 5)
    }
    corners = 200 * torch.rand(2, 6, 2, generator=generator)
    sides = torch.tensor([8.0, 60, 111, 113, 223, 300])[:, None].expand(2, 6, 2)
    boxes = torch.cat([corners, corners + sides], dim=2)
    assert torch.equal(pooler.batched(maps, boxes, torch.arange(12)), pooler(maps, list(boxes)))


@pytest.mark.slow
def test_a_pyramid_trains() -> None:
    import detector

    torch.manual_seed(0)
    settings = Settings(
        anchor_sizes=((32,), (64,), (128,), (256,), (512,)), shortest=(64,), longest=96, norm="bn"
    )
    model = detector.build("fbnetv3g_fpn", 3, settings=settings).train()
    assert model.parts.fpn is not None
    losses = model(BATCH, TARGETS)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
