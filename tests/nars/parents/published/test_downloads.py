"""What takes the place of a library's download, and what is said if there is no network."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nars.errors import UsageError, WeightsError
from nars.parents.published import downloads
from nars.parents.published.downloads import Download
from nars.parents.sources import parent

STATE = {"weight": torch.arange(6.0).reshape(2, 3)}


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of files that the user puts there; torch's is ``torch`` beside it."""
    monkeypatch.setenv("NARS_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    (tmp_path / "parents").mkdir()
    (tmp_path / "torch" / "checkpoints").mkdir(parents=True)
    return tmp_path / "parents"


@pytest.fixture
def published(tmp_path: Path) -> tuple[Download, bytes]:
    """A download whose name ends in the start of its digest, and its content."""
    torch.save(STATE, tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    url = f"https://weights.test/net-{sha256(content).hexdigest()[:8]}.pth"
    return Download("lib:net", url, asked="https://hub.test/net"), content


def never() -> NoReturn:
    raise AssertionError("there is a file")


def answer(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def urlopen(*_: Any, **__: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)


def test_a_file_takes_the_place_of_the_download(caches: Path, published: tuple[Download, bytes]) -> None:
    download, content = published
    of_torch = caches.parent / "torch" / "checkpoints" / download.url.rpartition("/")[2]
    cached = caches.parent / "cached.safetensors"
    for file, state in ((cached, {"cached": STATE["weight"]}), (of_torch, STATE), (download.file, STATE)):
        save_file(state, file) if file == cached else file.write_bytes(content)
        assert download.state(never, cached).keys() == state.keys()
        file.unlink()
    save_file({"mine": STATE["weight"]}, caches / "lib-net.safetensors")
    assert download.state(never).keys() == {"mine"}


@pytest.mark.parametrize("change", [lambda data: data[:-9], lambda data: data[:-1] + b"?", lambda data: b""])
def test_an_altered_file_is_refused(published: tuple[Download, bytes], change: Any) -> None:
    download, content = published
    download.file.write_bytes(change(content))
    with pytest.raises(WeightsError, match=r"lib-net.pth is not what was published: its SHA") as told:
        download.state(never)
    assert str(told.value).endswith(f"(delete it, or put {download.url} there again)")


def test_a_file_of_something_else_is_refused(caches: Path, published: tuple[Download, bytes]) -> None:
    file = caches / "lib-net.safetensors"
    save_file(STATE, file)
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        published[0].state(never)
    file.unlink()
    download = Download("lib:net", "https://weights.test/net.pth", asked="")  # without a digest
    torch.save([1, 2], download.file)
    with pytest.raises(WeightsError, match="not the tensors of a network by their names"):
        download.state(never)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (urllib.error.URLError(OSError(-2, "Name or service not known")), "Name or service not known"),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (http.client.BadStatusLine("-ERR what\r\n"), "-ERR what"),
    ],
)
def test_without_a_network_nothing_is_tried(
    published: tuple[Download, bytes], monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    download, _ = published
    answer(monkeypatch, error)
    with pytest.raises(UsageError) as caught:
        download.state(never)
    remedy = f"put {download.url} at {download.file}"
    assert str(caught.value) == f"lib:net cannot be downloaded ({reason}): {remedy}"


def test_a_host_that_answers_is_asked(
    published: tuple[Download, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    download, _ = published
    answer(monkeypatch, urllib.error.HTTPError(download.asked, 404, "Not Found", {}, None))  # type: ignore[arg-type]
    assert download.state(lambda: STATE) is STATE

    def broken() -> Mapping[str, Tensor]:
        raise OSError("the line broke\nand more")

    with pytest.raises(UsageError, match=r"cannot be downloaded \(the line broke\): put"):
        download.state(broken)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("torchvision:mobilenet_v2", "mobilenet_v2-7ebf99e0.pth"),
        ("timm:fbnetv3_b", "fbnetv3_b_224-ead5d2a1.pth"),
    ],
)
def test_the_file_to_put_where_is_named(
    name: str, file: str, caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("timm")
    monkeypatch.setattr(downloads, "_unreachable", lambda url: "no route")
    with pytest.raises(UsageError) as caught:
        parent(name)
    assert f"{name} cannot be downloaded (no route): put https://" in str(caught.value)
    assert str(caught.value).endswith(f"/{file} at {caches}/{name.replace(':', '-')}.pth")
