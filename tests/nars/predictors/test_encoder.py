"""The pretrained encoder: it ranks costs, is the same for the same seed, and survives its cache."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nars.errors import UsageError
from nars.predictors.encoder import Encoder, pretrain, untrained
from nars.space import genotypes
from nars.space.genotypes import Matrix
from nars.spec import Recipe
from search_spaces.spaces import space

MICRO = space("micro")
FEW = 1024  # enough to tell one encoder from another


def inputs(matrix: Matrix) -> torch.Tensor:
    chosen = genotypes.is_architecture_feature(MICRO)
    return torch.from_numpy(MICRO.dimensions.features(matrix)[:, chosen])


def same(one: Encoder, two: Encoder) -> bool:
    states = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in states)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def encoder(cache: Path) -> Encoder:
    return pretrain(MICRO, samples=FEW, steps=8, cache=cache)


def test_statistics_of_fresh_architectures_are_ranked(tmp_path: Path) -> None:
    encoder = pretrain(MICRO, samples=16384, steps=128, cache=tmp_path)
    fresh = genotypes.sample(MICRO, 2000, np.random.default_rng(1), quasi=False)
    with torch.no_grad():
        embedding, predicted = encoder(inputs(fresh))
    for name, column in zip(encoder.names, predicted.T, strict=True):
        assert spearmanr(column, MICRO.statistics(fresh)[name]).statistic > 0.99, name
    # Fresh architectures are drawn as the sample was: units keep its mean 0 and deviation 1.
    assert embedding.mean(dim=0).abs().max() < 0.15
    assert (embedding.std(dim=0) - 1).abs().max() < 0.15


def test_recipe_does_not_enter(encoder: Encoder, cache: Path) -> None:
    files = set(cache.iterdir())
    assert same(pretrain(MICRO.fix(recipe=Recipe(lr=0.5)), samples=FEW, steps=8, cache=cache), encoder)
    assert set(cache.iterdir()) == files


def test_cached_and_trained_again_are_the_same(encoder: Encoder, cache: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    assert same(pretrain(MICRO, samples=FEW, steps=8, cache=cache), encoder)
    assert same(pretrain(MICRO, samples=FEW, steps=8, cache=tmp_path), encoder)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_other_seed_and_target_are_other_encoders(encoder: Encoder, cache: Path) -> None:
    assert not same(pretrain(MICRO, samples=FEW, steps=8, seed=1, cache=cache), encoder)
    timed = pretrain(MICRO, samples=FEW, steps=8, cache=cache, targets={"latency": lambda x: 1 + x[:, 0]})
    assert timed.names == ("macs", "params", "latency")


def test_environment_names_the_cache(
    encoder: Encoder, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NARS_CACHE", str(cache))
    assert same(pretrain(MICRO, samples=FEW, steps=8), encoder)
    monkeypatch.delenv("NARS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pretrain(MICRO, samples=FEW, steps=8)
    assert len(list((tmp_path / "nars").iterdir())) == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "pickle"])
def test_bad_cache_file_is_replaced(
    damage: str, encoder: Encoder, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pretrain(MICRO, samples=FEW, steps=8, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "foreign":
        torch.save({"weight": torch.zeros(3)}, path)
    elif damage == "pickle":
        torch.save(Path("anything but tensors"), path)
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    with caplog.at_level(logging.WARNING, "nars.predictors.encoder"):
        assert same(pretrain(MICRO, samples=FEW, steps=8, cache=tmp_path), encoder)
    assert str(path) in caplog.text
    caplog.clear()
    assert same(pretrain(MICRO, samples=FEW, steps=8, cache=tmp_path), encoder)
    assert not caplog.text


def test_unwritable_cache_costs_only_the_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert pretrain(MICRO, samples=512, steps=8, cache=blocked / "cache").names == ("macs", "params")
    assert "not cached" in caplog.text


def test_nothing_to_learn_is_an_error(tmp_path: Path) -> None:
    candidate = MICRO.decode(MICRO_FIRST)
    with pytest.raises(UsageError, match="no architecture dimension"):
        pretrain(MICRO.fix(architecture=candidate.architecture), cache=tmp_path)
    with pytest.raises(UsageError, match="latency must be positive"):
        pretrain(MICRO, cache=tmp_path, targets={"latency": lambda x: np.zeros(len(x))})


def test_untrained_is_standardised_too() -> None:
    encoder = untrained(MICRO)
    with torch.no_grad():
        embedding, statistics = encoder(
            inputs(genotypes.sample(MICRO, 4096, np.random.default_rng(0), quasi=False))
        )
    assert statistics.shape == (4096, 0)
    assert (embedding.std(dim=0) - 1).abs().max() < 0.15


MICRO_FIRST = genotypes.to_genotypes(MICRO, genotypes.sample(MICRO, 1, np.random.default_rng(0)))[0]
