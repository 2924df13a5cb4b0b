from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from small_checkpoints import QUICK, SMALL, as_d2go, assert_same, saved
from torch import nn

import detector
from detector.weights import zoo
from detector.weights.checkpoints import read_checkpoint
from nars.errors import WeightsError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NARS_CACHE", str(tmp_path))
    return tmp_path / "weights"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(zoo, "urlopen", refuse)


def test_every_entry_has_an_address_and_terms() -> None:
    assert len(zoo.entries()) == 17
    assert "non-commercial" in zoo.licence("fbnetv3_a_imagenet")
    assert "states no licence for the weights" in zoo.licence("fbnetv3a_dsmask_c4_coco")
    assert len({entry.address for entry in zoo.entries().values()}) == 17


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_message_says_where_the_file_goes(cache: Path) -> None:
    place = cache / "fbnetv3a_dsmask_c4_coco.pth"
    with pytest.raises(WeightsError, match=r"cannot download .*no route to host.*put it at") as raised:
        detector.build("fbnetv3a_dsmask_c4", 80, weights="fbnetv3a_dsmask_c4_coco")
    assert str(place) in str(raised.value)
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("offline")
def test_a_file_on_disk_comes_first_and_may_not_change(cache: Path, small: nn.Module) -> None:
    cache.mkdir()
    path = saved(cache / "fbnetv3a_dsmask_c4_coco.pth", as_d2go(small))
    assert_same(
        detector.build(SMALL, 3, weights="fbnetv3a_dsmask_c4_coco", settings=QUICK), small.state_dict()
    )
    record = cache / "fbnetv3a_dsmask_c4_coco.pth.sha256"
    assert record.read_text().split()[0] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert zoo.fetch("fbnetv3a_dsmask_c4_coco") == path
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="is not what it was at its first use"):
        zoo.fetch("fbnetv3a_dsmask_c4_coco")


def test_a_download_is_kept_whole_or_not_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(request: Any, timeout: float) -> io.BytesIO:
        asked.append((request.full_url, timeout))
        return io.BytesIO(b"numbers")

    monkeypatch.setattr(zoo, "urlopen", answer)
    path = zoo.fetch("fbnetv3_b_imagenet")
    assert zoo.fetch("fbnetv3_b_imagenet") == path
    assert path.read_bytes() == b"numbers"
    assert asked == [(zoo.entries()["fbnetv3_b_imagenet"].address, 30)]
    assert {each.name for each in cache.iterdir()} == {
        "fbnetv3_b_imagenet.pth",
        "fbnetv3_b_imagenet.pth.sha256",
    }

    class Interrupted(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise TimeoutError("timed out")

    monkeypatch.setattr(zoo, "urlopen", lambda *_, **__: Interrupted())
    with pytest.raises(WeightsError, match="timed out"):
        zoo.fetch("fbnetv3_d_imagenet")
    assert {each.name for each in cache.iterdir()} == {
        "fbnetv3_b_imagenet.pth",
        "fbnetv3_b_imagenet.pth.sha256",
    }


def test_published_hashes_are_checked(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's file names end in the first digits of the hash."""
    for name, entry in zoo.entries().items():
        if entry.licence == "timm":
            assert entry.sha256 is not None
            assert entry.address.endswith(f"-{entry.sha256}.pth"), name
    digest = hashlib.sha256(b"numbers").hexdigest()
    entry = zoo.entries()["fbnetv3_b_timm"]
    monkeypatch.setattr(zoo, "urlopen", lambda *_, **__: io.BytesIO(b"numbers"))
    rule = f"is not what was published: its SHA-256 is {digest}, expected one that starts with ead5d2a1"
    with pytest.raises(
        WeightsError, match=rf"^https://.*_224-ead5d2a1.pth {rule}; the download was not kept"
    ):
        zoo.fetch("fbnetv3_b_timm")
    assert list(cache.iterdir()) == []
    path = cache / "fbnetv3_b_timm.pth"
    path.write_bytes(b"numbers")
    with pytest.raises(WeightsError, match=rf"{path} {rule}; delete it to download it again"):
        zoo.fetch("fbnetv3_b_timm")
    right = entry.replace(sha256=digest[:8])
    monkeypatch.setattr(zoo, "entries", lambda: {"fbnetv3_b_timm": right})
    assert zoo.fetch("fbnetv3_b_timm") == path


def test_an_unknown_name_shows_the_closest(cache: Path) -> None:
    with pytest.raises(
        WeightsError, match="called 'fbnetv3a_dsmask_coco': did you mean 'fbnetv3a_dsmask_c4_coco'"
    ):
        read_checkpoint("fbnetv3a_dsmask_coco")
    with pytest.raises(WeightsError, match=r"cannot read .*model.pth: No such file"):
        read_checkpoint(cache / "model.pth")
