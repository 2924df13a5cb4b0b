"""One process behaves as if nothing of this existed; devices that are not there are said."""

from __future__ import annotations

import pytest
import torch

from nars import parallel
from nars.errors import UsageError

CPU = torch.device("cpu")


def test_one_process_has_everything() -> None:
    with parallel.joined("cpu") as device:
        assert device == CPU
        assert (parallel.rank(), parallel.world_size(), parallel.is_first()) == (0, 1, True)
    assert parallel.own([1, 2, 3]) == [1, 2, 3]
    assert parallel.gathered([1, 2]) == [1, 2]
    assert parallel.agreed("mine") == "mine"
    assert parallel.largest([3, 4], CPU) == [3, 4]
    tensors = [torch.ones(2), torch.zeros(1)]
    assert parallel.collected(tensors, CPU) is tensors
    assert parallel.mean(tensors[0]) is tensors[0]
    parallel.check_same({"seed": 0})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_missing_device() -> None:
    with pytest.raises(UsageError, match="no CUDA device is available"), parallel.joined("cuda"):
        pass


class Three:
    """Three processes, of which this one is the second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
        monkeypatch.setattr("torch.distributed.get_world_size", lambda: 3)
        monkeypatch.setattr("torch.distributed.get_rank", lambda: 1)
        monkeypatch.setattr("torch.distributed.all_gather_object", self.gather)
        self.others: tuple[list[object], list[object]] = ([], [])

    def gather(self, by_rank: list[object], own: object) -> None:
        by_rank[:] = [self.others[0], own, self.others[1]]


def test_several_processes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    three = Three(monkeypatch)
    assert (parallel.rank(), parallel.world_size(), parallel.is_first()) == (1, 3, False)
    assert parallel.own(range(8)) == range(1, 8, 3)
    assert parallel.share(torch.arange(4)).tolist() == [1]
    three.others = ([torch.tensor(0), torch.tensor(3)], [torch.tensor(2)])
    assert [int(each) for each in parallel.collected([torch.tensor(1)], CPU)] == [0, 1, 2, 3]
    torch.manual_seed(0)
    expected = torch.rand(6, 5)[1::3]
    torch.manual_seed(0)
    assert torch.equal(parallel.drawn(2, 5, CPU), expected)
    with pytest.raises(UsageError, match="batches of 2 images cannot be shared by 3 processes"):
        parallel.check_batch(2)
    with parallel.alone():
        assert (parallel.rank(), parallel.world_size()) == (0, 1)
        parallel.check_batch(2)
