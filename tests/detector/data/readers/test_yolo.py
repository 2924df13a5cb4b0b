"""YOLO's labels mark what a viewer shows, and number the lines of its classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageOps

from detector.data import images
from detector.data.layouts import load


def _folder(folder: Path, picture: Image.Image, labels: str, orientation: int = 1) -> Path:
    """A data set of two equal pictures with the EXIF orientation, and the labels of each."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    (folder / "classes.txt").write_text("cup\nspoon\n")
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a", "b"):
        picture.save(folder / "images" / f"{name}.png", exif=exif)
        (folder / "labels" / f"{name}.txt").write_text(labels)
    return folder


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 48), (48, 48)])
def test_boxes_and_polygons_stay_on_their_object(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    stored = Image.new("L", size)
    stored.paste(255, (8, 4, 20, 12))
    stored.getexif()[0x0112] = orientation
    shown = ImageOps.exif_transpose(stored)
    left, top, right, bottom = shown.getbbox() or (0, 0, 0, 0)
    xs, ys = (left / shown.width, right / shown.width), (top / shown.height, bottom / shown.height)
    box = f"0 {sum(xs) / 2} {sum(ys) / 2} {xs[1] - xs[0]} {ys[1] - ys[0]}"
    triangle = f"0 {xs[0]} {ys[0]} {xs[1]} {ys[0]} {xs[1]} {ys[1]}"
    train = load(_folder(tmp_path, stored, f"{box}\n{triangle}\n", orientation)).train
    pixels = images.load(train, train.images[0])[0]
    assert len(train.annotations) == 2
    for annotation in train.annotations:
        x, y, width, height = map(round, annotation.box)
        assert width * height == 12 * 8
        assert pixels[y : y + height, x : x + width].eq(255).all()
    is_unseen = orientation > 1 and (orientation < 5 or size == (48, 48))
    assert any("turned back" in note for note in train.notes) == is_unseen


def test_a_blank_line_among_the_classes_has_a_number(tmp_path: Path) -> None:
    _folder(tmp_path, Image.new("L", (64, 48)), "2 .5 .5 .5 .5\n")
    (tmp_path / "classes.txt").write_text("cup\n\nspoon\nfork\n\n")
    data = load(tmp_path)
    assert data.classes == ("cup", "spoon", "fork")
    assert data.labels[data.train.annotations[0].category_id] == 2
