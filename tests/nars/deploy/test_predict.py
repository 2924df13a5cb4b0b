"""Predictions see pictures as an evaluation does, name what cannot be read, and are drawn."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nars.data import ImageData, load, normalise
from nars.deploy.predict import Prediction, draw, pictures, predict
from nars.deploy.sources import files
from nars.deploy.video import frames
from nars.errors import DataError, UsageError
from nars.networks.build import build
from nars.networks.weights import Weights
from nars.spec import Architecture, Block, Candidate, Recipe
from nars.training.evaluation import evaluate, moments

CPU = torch.device("cpu")
CLASSES = ("cat", "cow", "dog")


def architecture(resolution: int, channels: int = 3) -> Architecture:
    return Architecture(
        resolution=resolution,
        in_channels=channels,
        stages=[
            [Block(op="conv", channels=8, kernel=3, stride=2)],
            [Block(op="conv", channels=16, kernel=3, stride=2)],
        ],
    )


def weights(resolution: int, data: ImageData, channels: int = 3, fit: Any = "crop") -> Weights:
    """A random network whose answers vary: every class has the same mean on val before the softmax."""
    candidate = Candidate(architecture=architecture(resolution, channels), recipe=Recipe(fit=fit))
    torch.manual_seed(0)
    state = build(candidate.architecture, len(data.classes)).state_dict()
    for name, tensor in state.items():
        if tensor.ndim > 1:
            state[name] = torch.randn_like(tensor) / 3
    mean, std = (tuple(values.tolist()) for values in (data.mean, data.std))
    trained = Weights(candidate, data.classes, mean, std, {}, state, "random.pt")
    last = list(state)[-1]
    assert state[last].shape == (len(data.classes),)
    state[last] = state[last] - evaluated(trained, data).log().mean(0)
    return trained


def folder(root: Path, width: int, height: int, mode: str = "RGB") -> ImageData:
    """Pictures of blurred noise: five of each class to train, two each for val and test."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 2), ("test", 2)):
        for name in CLASSES:
            for number in range(count):
                pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
                image = Image.fromarray(pixels).resize((width, height)).convert(mode)
                file = root / split / name / f"{number}.{'jpg' if number % 2 else 'png'}"
                file.parent.mkdir(parents=True, exist_ok=True)
                image.save(file)
    return load(root)


def evaluated(trained: Weights, data: ImageData) -> torch.Tensor:
    """Probabilities of the val images, in the order of the files, as an evaluation computes them."""
    resolution, network = trained.candidate.architecture.resolution, trained.network()
    mean, std = moments(network, data, CPU)
    groups = [torch.arange(len(data.val))]
    ((images, _),) = data.val.batches(resolution, CPU, groups)
    with torch.inference_mode():
        return network(normalise(images, mean, std)).softmax(1)


@pytest.mark.parametrize(
    ("size", "resolution", "fit"),
    [
        ((400, 300), 32, "crop"),  # kept at 256 pixels, then resized
        ((400, 300), 288, "crop"),  # larger than what is kept: read again
        ((90, 120), 48, "crop"),
        ((30, 20), 48, "crop"),  # enlarged
        ((400, 300), 32, "squash"),
        ((400, 300), 288, "letterbox"),
    ],
)
def test_pictures_are_prepared_as_in_an_evaluation(
    size: tuple[int, int], resolution: int, fit: Any, tmp_path: Path
) -> None:
    data = folder(tmp_path, *size).fitted(fit)
    trained = weights(resolution, data, fit=fit)
    expected = evaluated(trained, data)
    answers = list(predict(trained, pictures([tmp_path / "val"]), CPU))
    assert all(isinstance(answer, Prediction) for answer in answers)
    found = torch.stack([answer.probabilities for answer in answers if isinstance(answer, Prediction)])
    torch.testing.assert_close(found, expected)
    right = (found.argmax(1) == data.val.labels).float().mean().item()
    measured = evaluate(trained.network(), data, "val", resolution=resolution, device=CPU)
    assert right == pytest.approx(measured.accuracy)
    assert len(found.argmax(1).unique()) > 1


def test_a_network_of_one_channel_sees_grey(tmp_path: Path) -> None:
    data = folder(tmp_path / "grey", 60, 50, "L")
    trained = weights(32, data, channels=1)
    expected = evaluated(trained, data)
    answers = list(predict(trained, pictures([tmp_path / "grey" / "val"]), CPU))
    found = torch.stack([answer.probabilities for answer in answers if isinstance(answer, Prediction)])
    torch.testing.assert_close(found, expected)
    folder(tmp_path / "colour", 60, 50)
    assert len(list(predict(trained, pictures([tmp_path / "colour" / "val"]), CPU))) == 6


def test_order_and_errors_are_kept(tmp_path: Path) -> None:
    data = folder(tmp_path, 60, 50)
    (tmp_path / "val" / "cat" / "0.png").write_bytes(b"no picture")
    film = tmp_path / "val" / "cat" / "film.mp4"
    film.write_bytes(b"no video" * 100)
    answers = list(predict(weights(32, data), pictures([tmp_path / "val", tmp_path / "test"]), CPU))
    broken = [at for at, answer in enumerate(answers) if isinstance(answer, DataError)]
    assert broken == [0, 2]  # 0.png, 1.jpg, film.mp4
    assert "0.png: not an image" in str(answers[0])
    assert "film.mp4" in str(answers[2])
    names = [Path(answer.picture.name) for answer in answers if isinstance(answer, Prediction)]
    assert names == sorted(names, key=lambda path: (path.parts[-3] == "test", path))
    assert len(names) == 11


def test_frames_of_a_video_are_pictures(film: Callable[[Path], Path], tmp_path: Path) -> None:
    data = folder(tmp_path, 60, 50)
    film(tmp_path / "film.mp4")
    answers = list(predict(weights(32, data), pictures([tmp_path / "film.mp4"], every=2), CPU))
    names = [answer.picture.name for answer in answers if isinstance(answer, Prediction)]
    assert [name.rpartition("/")[2] for name in names] == ["film.mp4#0", "film.mp4#2", "film.mp4#4"]


def test_a_video_that_a_phone_took_upright_is_turned(film: Callable[[Path], Path], tmp_path: Path) -> None:
    """A phone keeps the frames as its sensor has them, with a matrix that turns them by a quarter."""
    data = film(tmp_path / "film.mp4").read_bytes()
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    to_the_right = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    start = data.index(plain, data.index(b"tkhd"))
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(data[:start] + to_the_right + data[start + len(plain) :])
    for (_, frame), (_, original) in zip(frames(turned), frames(tmp_path / "film.mp4"), strict=True):
        assert frame.shape == (3, 64, 48)
        assert torch.equal(frame, original.rot90(-1, (1, 2)))


@pytest.fixture
def film() -> Callable[[Path], Path]:
    av = pytest.importorskip("av")

    def make(path: Path) -> Path:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=5)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(5):
                pixels = np.full((48, 64, 3), 40 * number, dtype=np.uint8)
                pixels[:, :32] = 255
                for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
        return path

    return make


def test_a_video_without_pyav_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "film.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match=r"pip install nars\[video\]"):
        list(pictures([tmp_path / "film.mp4"]))


def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.jpg", "deep/c.webp", "deep/notes.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert list(map(str, files("."))) == ["a.jpg", "b.png", "deep/c.webp"]
    assert list(map(str, files("**/*.*g"))) == ["a.jpg", "b.png"]
    assert list(map(str, files("deep/notes.txt"))) == ["deep/notes.txt"]
    assert list(map(str, files(".", without=Path("b.png")))) == ["a.jpg", "deep/c.webp"]
    Path("deep/00001-a.png").touch()
    for place in ("deep", Path.cwd() / "deep"):  # results of an earlier prediction, and nothing else
        assert list(map(str, files("deep", without=Path(place)))) == ["deep/c.webp"]
    Path("deep/00001-a.png").unlink()
    with pytest.raises(DataError, match=r"^none/\*\.jpg: no such file, folder or pattern \(or digits\)$"):
        files("none/*.jpg", names=("digits",))
    Path("linked/__MACOSX").mkdir(parents=True)
    Path("linked/__MACOSX/a.jpg").touch()
    Path("linked/._b.png").touch()
    Path("linked/inside").symlink_to(tmp_path / "deep")
    assert list(map(str, files("linked"))) == ["linked/inside/c.webp"]
    Path("empty").mkdir()
    with pytest.raises(DataError, match="empty: no picture in this folder"):
        files("empty")


def test_nothing_is_read_before_every_source_is_known(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "there.png")
    with pytest.raises(DataError, match=r"missing\.jpg: no such file"):
        pictures([tmp_path / "there.png", tmp_path / "missing.jpg"])


def test_the_most_probable_classes_come_first_and_are_drawn(tmp_path: Path) -> None:
    file = tmp_path / "black.png"
    Image.new("RGB", (800, 600)).save(file)
    (picture,) = pictures([file])
    assert not isinstance(picture, DataError)
    answer = Prediction(picture, torch.tensor([0.2, 0.1, 0.7]))
    top: Any = answer.top(2)
    assert [label for label, _ in top] == [2, 0]
    assert len(answer.top(9)) == 3
    drawn = np.asarray(draw(answer, CLASSES, 2))
    assert drawn.shape == (480, 640, 3)
    assert drawn[:30, :30].max() == 255
    assert drawn[60:].max() == 0
