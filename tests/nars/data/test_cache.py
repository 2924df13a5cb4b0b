"""Arrays that processes share, and what happens to their files."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from nars.data import MemorySplit, cache, load
from nars.data.cache import shared

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a cache that shares even the smallest arrays."""
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 1)
    cache._refused.clear()
    yield tmp_path / "cache" / "images"
    cache._refused.clear()


class Maker:
    """Makes an array, and counts how often."""

    def __init__(self, value: int = 7) -> None:
        self.value, self.calls = value, 0

    def __call__(self) -> dict[str, Tensor]:
        self.calls += 1
        return {"pixels": torch.full((40,), self.value, dtype=torch.uint8)}


def files(where: Path) -> list[Path]:
    return sorted(where.glob("*.safetensors"))


def test_an_array_is_made_once_for_each_identity(where: Path) -> None:
    make = Maker()
    for _ in range(2):
        assert torch.equal(shared(["a", "b"], 40, make)["pixels"], torch.full((40,), 7, dtype=torch.uint8))
    assert make.calls == 1
    shared(["a", "c"], 40, make)
    assert make.calls == 2
    assert len(files(where)) == 2
    assert not list(where.glob(".*.safetensors.*"))  # no parts are left


def test_small_arrays_have_no_file(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SMALLEST", 41)
    shared(["a"], 40, Maker())
    assert not where.exists()
    assert load("digits").train.pixels.nbytes < 2**24


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes() + b"0"),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes().replace(file.stem.encode(), b"0" * 32)),
    ],
    ids=["truncated", "longer", "empty", "another's"],
)
def test_a_file_that_was_spoiled_is_made_anew(where: Path, spoil: Callable[[Path], object]) -> None:
    shared(["a"], 40, Maker())
    spoil(files(where)[0])
    make = Maker(8)
    assert shared(["a"], 40, make)["pixels"].tolist() == [8] * 40
    assert shared(["a"], 40, make)["pixels"].tolist() == [8] * 40
    assert make.calls == 1


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), SafetensorError("No space left on device"), PermissionError(13)],
)
def test_a_folder_that_cannot_be_written_is_reported_once(
    where: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cache, "save_file", full)
    make = Maker()
    with caplog.at_level(logging.WARNING):
        for name in "abc":
            assert shared([name], 40, make)["pixels"].tolist() == [7] * 40
    assert make.calls == 3
    (record,) = caplog.records
    assert record.message.startswith(f"each process holds the images itself, since {where} cannot be used: ")


def test_a_folder_that_cannot_be_made_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert shared(["a"], 40, Maker())["pixels"].tolist() == [7] * 40
    assert len(caplog.records) == 1


def test_what_was_used_least_recently_is_removed(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_FILES", 3)
    for age, name in enumerate("abc"):
        shared([name], 40, Maker())
        newest = max(files(where), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (1000 - age, 1000 - age))  # c is the oldest
    shared(["c"], 40, Maker())  # used now
    (where / ".x.safetensors.12").write_text("a part that a killed process left")
    shared(["d"], 40, Maker())
    assert len(files(where)) == 3
    assert not (where / ".x.safetensors.12").exists()
    makers = {name: Maker() for name in "acd"}
    for name, make in makers.items():
        shared([name], 40, make)
    assert {name: make.calls for name, make in makers.items()} == {"a": 0, "c": 0, "d": 0}

    monkeypatch.setattr(cache, "MOST_BYTES", 2 * files(where)[0].stat().st_size)
    shared(["e"], 40, Maker())
    assert len(files(where)) == 2


def test_one_of_several_makes_the_array_while_others_wait(where: Path) -> None:
    make, together = Maker(), threading.Barrier(4)

    def work(_: int) -> list[int]:
        together.wait()
        return shared(["a"], 40, make)["pixels"].tolist()

    with ThreadPoolExecutor(4) as pool:  # each opens the lock's file itself, as processes do
        assert list(pool.map(work, range(4))) == [[7] * 40] * 4
    assert make.calls == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten noisy pictures of 20 x 24 pixels."""
    for index in range(20):
        path = tmp_path / "set" / ("cat", "dog")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = torch.randint(
            256, (24, 20, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(index)
        )
        Image.fromarray(pixels.numpy()).save(path)
    return tmp_path / "set"


def test_shared_images_are_those_that_are_not(
    folder: Path, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pixels() -> list[Tensor]:
        data, groups = load(folder), [torch.tensor([3, 0, 2])]
        assert isinstance(data.train, MemorySplit)
        found = [data.mean, data.std, data.train.pixels]
        for fit in ("crop", "letterbox"):
            for side in (16, 20, 28):
                found += [x for x, _ in data.fitted(fit).train.batches(side, CPU, groups)]
        return found

    monkeypatch.setattr(cache, "SMALLEST", 2**24)
    alone = pixels()
    assert not where.exists()
    monkeypatch.setattr(cache, "SMALLEST", 1)
    written, read = pixels(), pixels()
    # two fits: three splits each, and the resolutions of train other than that of the pictures: two and three
    assert len(files(where)) == 11
    for first, second, third in zip(alone, written, read, strict=True):
        assert torch.equal(first, second)
        assert torch.equal(first, third)


def test_changed_pictures_are_not_taken_from_the_cache(folder: Path) -> None:
    before = load(folder).train.sample()
    for path in folder.rglob("*.png"):
        image = Image.open(path).convert("RGB")
        image.putpixel((10, 12), (1, 2, 3))
        image.save(path)
    assert not torch.equal(load(folder).train.sample(), before)


def test_bad_pictures_are_left_out_of_the_cache_and_named_each_time(folder: Path) -> None:
    (folder / "cat" / "bad.png").write_text("no picture")
    first, second = load(folder, drop_bad=True), load(folder, drop_bad=True)
    assert first.dropped == second.dropped
    assert "bad.png: not an image" in first.dropped[0]
    assert first.fingerprint == second.fingerprint
    assert torch.equal(first.train.sample(), second.train.sample())
    with pytest.raises(Exception, match=r"cannot read image \S*bad.png: not an image"):
        load(folder)
