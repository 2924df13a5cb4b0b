"""Prediction in files of every kind, the pictures drawn of it, and its results read by COCO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from PIL import Image
from torch import Tensor

from detector.data.coco import write
from detector.data.records import CocoData
from detector.deploy import predict as predicting
from detector.deploy.drawing import draw
from detector.deploy.predict import Picture, pictures, predict, results
from detector.evaluation.coco_ap import score
from detector.model import transform
from detector.weights.saved import save_detector
from nars.cli import main
from nars.deploy.drawing import sheet
from nars.errors import DataError, UsageError

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path: Path, width: int = 40, height: int = 30, mode: str = "RGB", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def film(path: Path, frames: int = 5) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            pixels = np.full((48, 64, 3), 40 * number, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def test_masks_of_one_picture_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred masks of a photo of 12 million pixels take 1.2 GB."""
    seen: list[int] = []

    def detected(_: object, pixels: Sequence[Tensor], device: torch.device) -> list[dict[str, Tensor]]:
        seen.append(len(pixels))
        return [{} for _ in pixels]

    monkeypatch.setattr(predicting, "detect", detected)
    photos = [Picture(str(number), torch.zeros(3, 8, 8, dtype=torch.uint8)) for number in range(3)]
    for mask, batches in ((False, [3]), (True, [1, 1, 1])):
        seen.clear()
        answers = list(predict(toys.model(mask=mask), photos, CPU))
        assert (len(answers), seen) == (3, batches)


def names(*sources: str, **options: Any) -> list[str]:
    return [picture.name for picture in read(*sources, **options)]


def read(*sources: str, **options: Any) -> list[Picture]:
    """The pictures of sources that can all be read."""
    found = list(pictures(sources, **options))
    assert not [picture for picture in found if isinstance(picture, DataError)]
    return [picture for picture in found if isinstance(picture, Picture)]


def test_sources(folder: Path) -> None:
    for name in ("b.png", "a.jpg", "deep/c.webp"):
        save(folder / "photos" / name)
    (folder / "photos" / "notes.txt").write_text("no picture")
    assert names("photos") == ["photos/a.jpg", "photos/b.png", "photos/deep/c.webp"]
    assert names("photos/*.png") == ["photos/b.png"]
    assert names("photos/**/*.webp") == ["photos/deep/c.webp"]
    assert names("photos/b.png", "photos/a.jpg") == ["photos/b.png", "photos/a.jpg"]
    assert len(names("digit-scenes")) == 100


@pytest.mark.parametrize("source", ["missing.jpg", "*.jpg", "empty"])
def test_nothing_found_is_an_error(source: str, folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"no such file, folder or pattern|no picture in this folder"):
        names(source)


def test_damage_is_named_and_passed_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = save(folder / "photos" / "whole.jpg", 80, 60)
    (folder / "photos" / "cut.jpg").write_bytes(whole.read_bytes()[:400])
    save_detector("toy.pt", toys.model(score_threshold=0.0).eval(), toys.CLASSES)
    command = ["detect", "predict", "toy.pt", "photos", "--threshold", "0", "-o", "found"]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("passed over: ")
    assert "photos/cut.jpg" in captured.err
    assert "photos/whole.jpg: " in captured.out
    rows = json.loads(Path("found/results.json").read_text())
    assert {(row["image_id"], row["file_name"]) for row in rows} == {(1, "photos/whole.jpg")}
    assert main([*command, "--drop-bad"]) == 0
    capsys.readouterr()
    assert main(["detect", "predict", "toy.pt", "photos/cut.jpg"]) == 2
    assert "none of 1 picture can be read" in capsys.readouterr().err
    assert main([*command, "missing.jpg"]) == 2  # before the first picture
    assert not capsys.readouterr().out


def test_a_threshold_below_the_detectors_own_is_kept(folder: Path) -> None:
    save(folder / "photos" / "a.png", 80, 60)
    save_detector("toy.pt", toys.model(score_threshold=0.9).eval(), toys.CLASSES)
    assert main(["detect", "predict", "toy.pt", "photos", "--threshold", "0.1", "-o", "found"]) == 0
    assert json.loads(Path("found/results.json").read_text())


def test_masks_are_made_of_what_is_shown_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder / "photos" / "a.png", 80, 60)
    save_detector("toy.pt", toys.model(score_threshold=0.0, mask=True).eval(), toys.CLASSES)
    made: list[int] = []
    paste = transform.paste
    monkeypatch.setattr(
        transform, "paste", lambda masks, *more: (made.append(len(masks)), paste(masks, *more))[1]
    )
    assert main(["detect", "predict", "toy.pt", "photos", "--threshold", "0.25", "-o", "found"]) == 0
    assert made == [len(json.loads(Path("found/results.json").read_text()))]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "CMYK"])
def test_any_kind_of_picture(mode: str, folder: Path) -> None:
    suffix = ".tif" if mode == "CMYK" else ".png"
    save(folder / f"picture{suffix}", mode="L" if mode == "I;16" else mode)
    if mode == "I;16":
        pixels = np.arange(1200, dtype=np.uint16).reshape(30, 40)
        Image.fromarray(pixels).save(folder / "picture.png")
    (picture,) = read(f"picture{suffix}")
    assert picture.pixels.shape == (3, 30, 40)
    assert picture.pixels.dtype == torch.uint8


def test_exif_turns_the_picture(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    save(folder / "phone.jpg", 40, 30, exif=exif)
    assert read("phone.jpg")[0].pixels.shape == (3, 40, 30)


def test_video(folder: Path) -> None:
    film(folder / "film.mp4")
    assert names("film.mp4") == [f"film.mp4#{number}" for number in range(5)]
    assert names("film.mp4", every=2) == ["film.mp4#0", "film.mp4#2", "film.mp4#4"]
    shades = [float(picture.pixels.float().mean()) for picture in read("film.mp4")]
    assert shades == pytest.approx([0, 40, 80, 120, 160], abs=8)  # lossy, by less than the steps of 40


def test_a_video_that_is_none(folder: Path) -> None:
    pytest.importorskip("av")
    (folder / "film.mp4").write_bytes(b"not a video at all" * 50)
    (error,) = pictures(["film.mp4"])
    assert isinstance(error, DataError)
    assert "film.mp4: not a video that can be read" in str(error)


def test_videos_name_their_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (folder / "film.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match=r"pip install nars\[video\]"):
        names("film.mp4")


def test_results_are_what_coco_reads(folder: Path) -> None:
    """Predictions of a data set's files, scored as COCO results, give the AP of their boxes."""
    data = toys.squares(train=2, val=4)
    write(data, folder / "data")
    model = toys.model(score_threshold=0.0, mask=True).eval()
    rows: list[dict[str, Any]] = []
    outputs = []
    found = predict(model, read("data/val"), CPU, batch_size=3)
    for number, answer in enumerate(found, start=1):
        assert not isinstance(answer, DataError)
        picture, output = answer
        rows += results(number, picture, output, toys.CLASSES)
        outputs.append(output)
    assert json.loads(json.dumps(rows)) == rows
    assert {row["image_id"] for row in rows} == {1, 2, 3, 4}
    first, box = rows[0], outputs[0]["boxes"][0].tolist()
    assert first["bbox"] == pytest.approx([box[0], box[1], box[2] - box[0], box[3] - box[1]], abs=0.01)
    assert first["category"] == toys.CLASSES[first["category_id"] - 1]
    scores, _ = score(CocoData(data.train, data.val), data.val, rows, kind="segm")
    assert 0 <= scores.ap <= 1


def test_boxes_are_drawn_where_they_are() -> None:
    output = {
        "boxes": torch.tensor([[100.0, 120.0, 300.0, 280.0]]),
        "labels": torch.tensor([2]),
        "scores": torch.tensor([0.9]),
    }
    black = torch.zeros(3, 400, 500, dtype=torch.uint8)
    drawn = np.asarray(draw(black, output, toys.CLASSES))
    assert drawn.shape == (400, 500, 3)
    for y, x in ((200, 100), (200, 299), (279, 200)):
        assert drawn[y, x].max() == 255
    assert drawn[200, 200].max() == 0
    assert drawn[100:120, 102:150].max() == 255  # the label above it


def test_masks_are_drawn() -> None:
    masks = torch.zeros(1, 1, 400, 500, dtype=torch.bool)
    masks[0, 0, 150:250, 150:250] = True
    output = {
        "boxes": torch.tensor([[100.0, 120.0, 300.0, 280.0]]),
        "labels": torch.tensor([1]),
        "scores": torch.tensor([0.9]),
        "masks": masks,
    }
    drawn = np.asarray(draw(torch.zeros(3, 400, 500, dtype=torch.uint8), output, toys.CLASSES))
    assert drawn[200, 200].max() == 110
    assert drawn[130, 260].max() == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (600, 3)])
def test_strange_sizes_are_drawn(size: tuple[int, int]) -> None:
    height, width = size
    output = {
        "boxes": torch.tensor([[0.0, 0.0, width, height]]),
        "labels": torch.tensor([1]),
        "scores": torch.tensor([1.0]),
    }
    picture = draw(torch.zeros(3, *size, dtype=torch.uint8), output, toys.CLASSES)
    assert min(picture.size) >= 1
    assert sheet([picture] * 5).width > picture.width


def test_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        save(folder / "photos" / f"{number}.png", 60, 48)
    save_detector(folder / "toy.pt", toys.model(score_threshold=0.0).eval(), toys.CLASSES)
    base = ["detect", "predict", "toy.pt", "photos", "--threshold", "0.1"]
    assert main([*base, "-o", "found.png"]) == 0
    assert "photos/0.png: " in capsys.readouterr().out
    with Image.open("found.png") as picture:
        assert picture.width > 3 * 240  # three pictures, enlarged

    assert main([*base, "-o", "found", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows == json.loads((folder / "found" / "results.json").read_text())
    assert all(row["score"] >= 0.1 for row in rows)
    drawn = sorted(path.name for path in (folder / "found").glob("*.png"))
    assert drawn == ["00001-0.png", "00002-1.png", "00003-2.png"]
    assert main(["detect", "predict", "toy.pt", "nothing.jpg"]) == 2
    assert "no such file" in capsys.readouterr().err
