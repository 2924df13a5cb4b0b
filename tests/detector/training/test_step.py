from __future__ import annotations

import pytest
import torch
from no_waiting import no_waiting
from toys import CLASSES, PARTS, SETTINGS, TRAINING, model, squares

from detector.data.records import CocoData
from detector.model.detector import Detector
from detector.training.resident import Resident
from detector.training.trainer import Trainer
from nars.device import seeded
from nars.errors import TrialError
from nars.spec import Block

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def data() -> CocoData:
    return squares()


def test_a_step_logs_its_losses_and_whose_proposals_are_finite(data: CocoData) -> None:
    trainer = Trainer(model(), data, TRAINING, torch.device("cpu"), seed=0)
    trainer.model.train()
    inputs = next(iter(trainer.feed))
    before = trainer.model.rpn.head.cls_logits.weight.clone()
    values = trainer.step(inputs, progress=0.5)
    named = dict(zip(trainer.step.names, values.tolist(), strict=False))
    assert named["loss"] == pytest.approx(
        sum(value for name, value in named.items() if name.startswith("loss_"))
    )
    assert named["rpn_objects"] + named["rpn_background"] == 32
    assert values[len(named) :].tolist() == [1.0] * TRAINING.batch_size
    assert not torch.equal(trainer.model.rpn.head.cls_logits.weight, before)


def test_a_single_image_is_refused_of_which_a_level_has_one_pixel(data: CocoData) -> None:
    last = Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2)
    parts = PARTS.replace(trunk=(*PARTS.trunk, *[(last,)] * 4), fpn=8)  # 48 pixels to one
    settings = SETTINGS.replace(longest=48, anchor_sizes=((16,),) * 6)
    pyramid = Detector(parts, len(CLASSES), settings)
    trainer = Trainer(pyramid, data, TRAINING.replace(batch_size=1), torch.device("cpu"), seed=0)
    trainer.model.train()
    with pytest.raises(TrialError, match="a batch of one image is too small for this network: Expected more"):
        trainer.step(next(iter(trainer.feed)), progress=0.5)


@pytest.mark.gpu
def test_a_step_that_is_recorded_does_what_one_does_that_runs_as_it_is(data: CocoData) -> None:
    """Both begin alike and see the same batches; float32 sums in another order differ by little."""
    losses: list[torch.Tensor] = []
    for recorded in (False, True):
        with seeded(0, CUDA):
            trainer = Trainer(model(), data, TRAINING.replace(amp=False), CUDA, seed=0)
            trainer.model.train()
            assert isinstance(trainer.feed, Resident)
            if not recorded:
                trainer.step._learn = trainer.step._eager
            values = []
            for step in range(10):
                torch.cuda.manual_seed(step)
                trainer.batches.start(0, step % 4)
                values.append(trainer.step(next(iter(trainer.feed)), progress=0.5))
            losses.append(torch.stack(values))
    torch.testing.assert_close(losses[0], losses[1], rtol=0.02, atol=0.02)


@pytest.mark.gpu
def test_a_gpu_need_not_wait_in_a_whole_step(data: CocoData) -> None:
    trainer = Trainer(model(), data, TRAINING, CUDA, seed=0)
    trainer.model.train()
    trainer.step._learn = trainer.step._eager
    inputs = next(iter(trainer.feed))
    for _ in range(2):
        trainer.step(inputs, progress=0.5)
    with no_waiting():
        trainer.step._learn(*inputs)
