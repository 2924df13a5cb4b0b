from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from nars.errors import UsageError
from nars.networks.norms import Norm, group_count, norm

KINDS = get_args(Norm)
BATCH_KINDS = [kind for kind in KINDS if kind not in ("gn", "frozen_bn")]
NAIVE_KINDS = ["naive_sync_bn", "naive_sync_bn_weighted"]
CHANNELS = 8


def maps(*batches: int) -> list[Tensor]:
    """A float64 batch [n, 8, 3, 5] for each n, away from mean 0 and variance 1."""
    generator = torch.Generator().manual_seed(0)
    shift = torch.arange(CHANNELS, dtype=torch.float64)[:, None, None]
    size = (CHANNELS, 3, 5)
    return [torch.randn(n, *size, generator=generator, dtype=torch.float64) * 2 + shift for n in batches]


@pytest.mark.parametrize("kind", KINDS)
def test_keeps_shape_and_type(kind: Norm) -> None:
    x = torch.randn(2, CHANNELS, 4, 4).to(memory_format=torch.channels_last)
    layer = norm(kind, CHANNELS)
    for mode in (True, False):
        out = layer.train(mode)(x)
        assert out.shape == x.shape
        assert out.dtype == x.dtype
        if kind != "gn":  # torch's group norm decides for itself
            assert out.is_contiguous(memory_format=torch.channels_last)


def test_unknown_name_is_refused_with_the_closest() -> None:
    with pytest.raises(UsageError, match=r"'sync_b'.*did you mean 'sync_bn'"):
        norm("sync_b", CHANNELS)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", BATCH_KINDS)
def test_one_worker_is_batch_norm(kind: Norm) -> None:
    (x,) = maps(4)
    layer, plain = norm(kind, CHANNELS).double(), nn.BatchNorm2d(CHANNELS).double()
    assert torch.equal(layer(x), plain(x))
    assert layer.state_dict().keys() == plain.state_dict().keys()
    for mine, theirs in zip(layer.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(layer.eval()(x), plain.eval()(x))


@pytest.mark.parametrize(("kind", "other"), list(itertools.product([*BATCH_KINDS, "frozen_bn"], repeat=2)))
def test_weights_of_one_batch_norm_load_into_another(kind: Norm, other: Norm) -> None:
    (x,) = maps(3)
    trained, loaded = norm(kind, CHANNELS).double(), norm(other, CHANNELS).double()
    trained.get_buffer("running_mean").fill_(0.5)
    trained.get_buffer("running_var").fill_(2.0)
    loaded.load_state_dict(trained.state_dict())
    # frozen batch norm folds scale and shift first, so the last bits differ
    torch.testing.assert_close(loaded.eval()(x), trained.eval()(x), rtol=1e-12, atol=1e-12)


def test_frozen_has_nothing_to_train() -> None:
    layer = norm("frozen_bn", CHANNELS)
    before = layer(maps(2)[0].float())
    assert not list(layer.parameters())
    assert torch.equal(layer.train()(maps(2)[0].float()), before)


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (7, 1), (8, 2), (12, 3), (16, 4), (72, 18), (184, 23), (1984, 32)]
)
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert group_count(channels) == groups
    assert norm("gn", channels)(torch.randn(2, channels, 2, 2)).shape == (2, channels, 2, 2)


def joined(batches: list[Tensor], weights: list[float]) -> tuple[list[Tensor], list[Tensor], nn.BatchNorm2d]:
    """What the workers should get: outputs, input gradients, and the norm with its statistics.

    Written with per-worker moments and one autograd graph over all workers.
    """
    layer = nn.BatchNorm2d(CHANNELS).double()
    inputs = [batch.clone().requires_grad_() for batch in batches]
    total = sum(weights)
    shares = [(x, w / total) for x, w in zip(inputs, weights, strict=True) if w]
    mean = sum(x.mean((0, 2, 3)) * share for x, share in shares)
    var = sum((x * x).mean((0, 2, 3)) * share for x, share in shares) - mean * mean
    scale = layer.weight / (var + layer.eps).sqrt()
    outputs = [(x - mean[:, None, None]) * scale[:, None, None] for x in inputs]
    sum((out**3).sum() for out in outputs).backward()
    pixels = sum(x.numel() // CHANNELS for x in inputs)
    layer.running_mean.lerp_(mean.detach(), 0.1)
    layer.running_var.lerp_(var.detach() * pixels / (pixels - 1), 0.1)
    gradients = [torch.zeros_like(x) if x.grad is None else x.grad for x in inputs]
    return [out.detach() for out in outputs], gradients, layer


BATCHES = {"equal": (2, 2), "unequal": (1, 3), "one empty": (0, 3)}
CASES = list(itertools.product(NAIVE_KINDS, BATCHES))
ALL_EMPTY = {"all empty": (0, 0)}


def _worker(rank: int, folder: str) -> None:
    """One of two workers: every case's output, gradients and statistics into a file."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    results = {}
    for kind, name in itertools.product(NAIVE_KINDS, BATCHES | ALL_EMPTY):
        layer = norm(kind, CHANNELS).double()
        x = maps(*(BATCHES | ALL_EMPTY)[name])[rank].requires_grad_()
        out = layer(x)
        (out**3).sum().backward()
        found = {"out": out.detach(), "gradient": x.grad, "weight": layer.weight.grad}
        results[kind, name] = found | {"mean": layer.running_mean, "var": layer.running_var}
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder: Path = tmp_path_factory.mktemp("workers")
    torch.multiprocessing.spawn(_worker, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_two_workers_share_statistics_and_gradients(two_workers: list[dict], kind: Norm, name: str) -> None:
    batches = maps(*BATCHES[name])
    weighted = kind == "naive_sync_bn_weighted"
    weights = [float(len(batch) if weighted else min(len(batch), 1)) for batch in batches]
    outputs, gradients, layer = joined(batches, weights)
    close = {"rtol": 1e-9, "atol": 1e-9}  # float64, moments of about 1e2
    for rank, found in enumerate(result[kind, name] for result in two_workers):
        torch.testing.assert_close(found["out"], outputs[rank], **close)
        torch.testing.assert_close(found["gradient"], gradients[rank], **close)
        torch.testing.assert_close(found["mean"], layer.running_mean, **close)
        torch.testing.assert_close(found["var"], layer.running_var, **close)
    weight = sum(result[kind, name]["weight"] for result in two_workers)
    torch.testing.assert_close(weight, layer.weight.grad, **close)


def test_two_equal_workers_are_batch_norm_of_the_joined_batch(two_workers: list[dict]) -> None:
    layer = nn.BatchNorm2d(CHANNELS).double()
    out = layer(torch.cat(maps(*BATCHES["equal"]))).detach()
    for kind in NAIVE_KINDS:
        found = [result[kind, "equal"] for result in two_workers]
        torch.testing.assert_close(torch.cat([each["out"] for each in found]), out, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found[0]["var"], layer.running_var, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", NAIVE_KINDS)
def test_empty_batches_everywhere_change_nothing(two_workers: list[dict], kind: Norm) -> None:
    for found in (result[kind, "all empty"] for result in two_workers):
        assert found["out"].shape == (0, CHANNELS, 3, 5)
        assert torch.equal(found["mean"], torch.zeros_like(found["mean"]))
        assert torch.equal(found["var"], torch.ones_like(found["var"]))
        assert torch.equal(found["weight"], torch.zeros_like(found["weight"]))
