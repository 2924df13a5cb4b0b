"""Random boxes keep their promises, and crops come from the images as they are stored."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from PIL import Image

from nars.data import DiskSplit, MemorySplit, Picture
from nars.data.augment import resize
from nars.data.crops import cut_out, random_boxes, random_crops

CPU = torch.device("cpu")
WHOLE = torch.tensor([0.0, 0.0, 1.0, 1.0])


def test_boxes_are_inside_with_uniform_areas_and_bounded_aspects() -> None:
    boxes = random_boxes(20_000, (0.2, 0.9), 4 / 3, torch.Generator().manual_seed(0))
    assert boxes.min() >= 0
    assert boxes.max() <= 1 + 1e-6
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    area, aspect = width * height, width / height
    quarters = torch.quantile(area, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(quarters, torch.linspace(0.2, 0.9, 5), rtol=0, atol=0.01)
    assert aspect.min() == pytest.approx(3 / 4, abs=1e-3)
    assert aspect.max() == pytest.approx(4 / 3, abs=1e-3)
    assert aspect.log().mean().abs() < 0.01
    places = boxes[:, :2].T / (1 - torch.stack([width, height]))
    assert torch.corrcoef(places)[0, 1].abs() < 0.03  # 4 standard deviations of independent ones
    torch.testing.assert_close(places.mean(1), torch.tensor([0.5, 0.5]), rtol=0, atol=0.01)


def test_boxes_repeat_with_the_generator() -> None:
    one, two, other = (random_crops(9, 0.3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_crop_has_the_detail_of_the_stored_image() -> None:
    """A quarter of a 16 pixel image at 8 pixels is those pixels, not an enlargement of the image at 8."""
    image = torch.randint(256, (3, 16, 16), dtype=torch.uint8)
    box = torch.tensor([0.25, 0.5, 0.75, 1.0])
    assert torch.equal(cut_out(image, box, 8), image[:, 8:, 4:12])
    split = MemorySplit(image[None], torch.tensor([1]))
    ((cropped, labels),) = split.batches(8, CPU, [torch.tensor([0])], [box[None]])
    assert torch.equal(cropped[0], image[:, 8:, 4:12])
    assert labels.tolist() == [1]


def test_the_whole_image_is_the_image() -> None:
    image = torch.randint(256, (1, 20, 20), dtype=torch.uint8)
    torch.testing.assert_close(cut_out(image, WHOLE, 12), resize(image[None], 12)[0], rtol=0, atol=1)


def test_a_crop_of_less_than_a_pixel_is_one_pixel() -> None:
    image = torch.arange(4, dtype=torch.uint8).view(1, 2, 2)
    assert cut_out(image, torch.tensor([0.99, 0.99, 1.0, 1.0]), 3).unique().tolist() == [3]


def test_crops_from_disk_are_those_from_memory_whichever_is_read_first() -> None:
    count, side = 12, 64
    ramp = np.add.outer(np.arange(side), np.arange(side))
    stored = np.stack([ramp + 8 * number for number in range(count)]).astype(np.uint8)

    def picture(number: int) -> Picture:
        def read(_: int) -> Image.Image:
            time.sleep(0.002 * (count - number))  # the first are ready last
            return Image.fromarray(stored[number]).convert("RGB")

        return Picture(str(number), number, read)

    groups = torch.arange(count).flip(0).split(5)
    crops = random_crops(count, 0.3, torch.Generator().manual_seed(0)).split(5)
    disk = DiskSplit([picture(number) for number in range(count)], side=side)
    pixels = torch.from_numpy(stored)[:, None].expand(-1, 3, -1, -1)
    memory = MemorySplit(pixels, torch.arange(count))
    for one, two in zip(*(split.batches(16, CPU, groups, crops) for split in (disk, memory)), strict=True):
        assert one[1].tolist() == two[1].tolist()
        assert (one[0].int() - two[0].int()).abs().max() <= 4  # by the grid of pixels, of up to 126 levels
