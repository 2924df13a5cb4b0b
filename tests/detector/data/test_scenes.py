from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from detector.data import masks, scenes
from detector.data.check import check, examine
from detector.data.coco import to_dict, write
from detector.data.findings import summary
from detector.data.images import load as load_image
from detector.data.layouts import load
from detector.data.records import CocoData


@pytest.fixture(scope="module")
def data() -> CocoData:
    return scenes.make(train=60, val=30)


def _digest(data: CocoData) -> str:
    digest = hashlib.sha256()
    for subset in data.subsets:
        assert subset.pixels is not None
        digest.update(repr(to_dict(subset)).encode())
        for image in subset.images:
            digest.update(subset.pixels[image.id].tobytes())
    return digest.hexdigest()


def test_scenes_are_the_same_every_time(data: CocoData) -> None:
    assert _digest(scenes.make(train=60, val=30)) == _digest(data)
    assert _digest(scenes.make(train=60, val=30, seed=1)) != _digest(data)


def test_more_scenes_leave_the_first_ones_as_they_are(data: CocoData) -> None:
    few = scenes.make(train=5, val=0)
    assert few.train.images == data.train.images[:5]
    assert few.train.annotations == data.train.annotations[: len(few.train.annotations)]
    for image in few.train.images:
        np.testing.assert_array_equal(few.train.pixels[image.id], data.train.pixels[image.id])


def test_the_check_finds_nothing_but_background(data: CocoData) -> None:
    assert set(summary(examine(data))) == {"image-without-boxes"}


def test_boxes_are_tight_around_masks_of_the_stated_area_and_do_not_touch(data: CocoData) -> None:
    for subset in data.subsets:
        for image in subset.images:
            taken = np.zeros((image.height, image.width), dtype=int)
            for annotation in subset.by_image[image.id]:
                mask = masks.decode(annotation.segmentation, image.height, image.width)
                rows, columns = np.nonzero(mask)
                left, top, width, height = annotation.box
                assert (left, top) == (columns.min(), rows.min())
                assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
                assert annotation.area == mask.sum()
                taken += mask
            assert taken.max(initial=0) <= 1


def test_digits_stand_out_from_their_ground(data: CocoData) -> None:
    """The mean grey of a digit and of the ground in its box differ by at least 40 of 255."""
    subset = data.train
    for image in subset.images:
        grey = subset.pixels[image.id].mean(2)
        for annotation in subset.by_image[image.id]:
            mask = masks.decode(annotation.segmentation, image.height, image.width).astype(bool)
            left, top, width, height = (int(number) for number in annotation.box)
            window = slice(top, top + height), slice(left, left + width)
            ground = grey[window][~mask[window]]
            if ground.size:
                assert abs(grey[mask].mean() - ground.mean()) > 40


def test_scales_shapes_and_classes_vary(data: CocoData) -> None:
    sides = [max(annotation.box[2:]) for annotation in data.train.annotations]
    assert min(sides) < 24
    assert max(sides) > 56
    assert {(image.width, image.height) for image in data.train.images} == {
        (160, 160),
        (160, 128),
        (128, 160),
    }
    assert {annotation.category_id for annotation in data.train.annotations} == set(range(1, 11))
    assert data.classes == tuple("0123456789")
    assert {len(boxes) for boxes in data.train.by_image.values()} == {0, 1, 2, 3, 4, 5}


def test_training_and_validation_have_no_digit_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each split gets its own digits, and together they are all digits there are."""
    pools = {}

    def spy(name: str, glyphs: scenes._Glyphs, count: int, side: int, seed: int) -> object:
        pools[name] = {image.tobytes() for image in glyphs.images}
        return original(name, glyphs, 0, side, seed)

    original = scenes._subset
    monkeypatch.setattr(scenes, "_subset", spy)
    scenes.make()
    assert pools["train"].isdisjoint(pools["val"])
    assert len(pools["train"] | pools["val"]) == len({image.tobytes() for image in load_digits().images})


def test_written_scenes_are_read_back_equal(data: CocoData, tmp_path: Path) -> None:
    write(data, tmp_path / "scenes")
    again = load(tmp_path / "scenes")
    for made, read in zip(data.subsets, again.subsets, strict=True):
        assert made.images == read.images
        assert made.annotations == read.annotations
        for image in made.images[:5]:
            assert (load_image(made, image) == load_image(read, image)).all()
    assert set(summary(check(tmp_path / "scenes"))) == {"image-without-boxes"}


def test_the_default_size_is_made_quickly() -> None:
    """It takes some 2 seconds; 20 leave room for a loaded machine, and still catch quadratic growth."""
    start = time.process_time()
    data = scenes.make()
    assert time.process_time() - start < 20
    assert [len(subset.images) for subset in data.subsets] == [400, 100]
