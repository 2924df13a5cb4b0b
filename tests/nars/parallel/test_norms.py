"""Plain batch norms become joint ones when there are other processes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nars import parallel
from nars.parallel.norms import NaiveSyncBatchNorm2d


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4, momentum=0.3), nn.GroupNorm(2, 4))
    )


def test_one_process_keeps_its_norms() -> None:
    own = network()
    assert parallel.synchronized(own) is own
    assert type(own[1][0]) is nn.BatchNorm2d


def test_the_tensors_stay_the_same_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    own = network().eval()
    norm, state = own[1][0], own.state_dict()
    with monkeypatch.context() as two:
        two.setattr("torch.distributed.is_initialized", lambda: True)
        two.setattr("torch.distributed.get_world_size", lambda: 2)
        assert parallel.synchronized(own) is own
    joint = own[1][0]
    assert isinstance(joint, NaiveSyncBatchNorm2d)
    assert isinstance(own[1][1], nn.GroupNorm)
    assert (joint.weighted, joint.momentum, joint.training) == (True, 0.3, False)
    assert joint.weight is norm.weight
    assert joint.running_var is norm.running_var
    assert own.state_dict().keys() == state.keys()
    images = torch.rand(2, 4, 3, 3)
    assert torch.equal(joint.train()(images), norm.train()(images))
