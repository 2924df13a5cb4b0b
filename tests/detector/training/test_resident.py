from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from toys import model, squares

from detector.data.records import CocoData
from detector.model.batched.slots import Batch
from detector.training.augment import Augmentation
from detector.training.batches import GroupedBatches, SampleIndex
from detector.training.colours import coloured
from detector.training.dataset import DetectionDataset, collate
from detector.training.loaded import Loaded, default_workers
from detector.training.resident import Resident, fits

CPU = torch.device("cpu")
PLAIN = Augmentation(shortest=(40,), longest=64, flip=0)


@pytest.fixture(scope="module")
def data() -> CocoData:
    return squares()


def resident(data: CocoData, **changes: Any) -> Resident:
    dataset = DetectionDataset.training(data, PLAIN.model_copy(update=changes), seed=3)
    return Resident(dataset, GroupedBatches(dataset.aspect_ratios, 4, seed=3), model().train(), CPU)


def batch(images: Resident, *numbers: int, epoch: int = 0) -> Batch:
    return images.assemble(*images.inputs([SampleIndex(epoch, number) for number in numbers]))


def test_an_unchanged_batch_is_that_of_the_loader(data: CocoData) -> None:
    kept = batch(resident(data), 0, 1, 2, 3)
    dataset = DetectionDataset.training(data, PLAIN)
    images, targets = collate([dataset[number] for number in range(4)])
    read = model().train().batch(images, targets, step=32)
    assert kept.images.shape == read.images.shape == (4, 3, 64, 64)
    assert torch.equal(kept.sizes, read.sizes)
    assert kept.sizes.unique(dim=0).shape[0] > 1, "the images differ in size"
    torch.testing.assert_close(kept.images, read.images, atol=0.02, rtol=0)  # of 255
    torch.testing.assert_close(kept.slots.boxes, read.slots.boxes)
    assert torch.equal(kept.slots.labels, read.slots.labels)
    assert torch.equal(kept.slots.filled, read.slots.filled)


def test_a_mirrored_batch_is_the_unchanged_one_from_right_to_left(data: CocoData) -> None:
    plain, mirrored = batch(resident(data), 0, 1), batch(resident(data, flip=1.0), 0, 1)
    for index, (height, width) in enumerate(plain.sizes.int().tolist()):
        seen = mirrored.images[index, :, :height, :width]
        torch.testing.assert_close(seen.flip(2), plain.images[index, :, :height, :width], atol=0.05, rtol=0)
        boxes, filled = plain.slots.boxes[index], plain.slots.filled[index]
        expected = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], dim=1)
        torch.testing.assert_close(mirrored.slots.boxes[index][filled], expected[filled])


@pytest.mark.parametrize("jitter", [(0.5, 0.5), (1.6, 1.6)])
def test_boxes_follow_their_squares_when_the_size_is_changed(
    data: CocoData, jitter: tuple[float, float]
) -> None:
    """The middle of a box has the colour of its class, brighter in one channel than the grey around it."""
    images = resident(data, jitter=jitter)
    strongest = {1: 2, 2: 1, 3: 0}  # red, green and blue in the order of the network: BGR
    seen = 0
    for number in range(16):
        found = batch(images, number)
        for box, label in zip(found.slots.boxes[0], found.slots.labels[0].tolist(), strict=True):
            left, top, right, bottom = box.tolist()
            if label and right - left > 4 and bottom - top > 4:
                pixel = found.images[0, :, int((top + bottom) / 2), int((left + right) / 2)]
                assert pixel.argmax() == strongest[label]
                seen += 1
        assert (found.slots.boxes[..., 2:] <= found.sizes.flip(1)[:, None]).all()
    assert seen > 8


def test_draws_depend_on_seed_epoch_and_image(data: CocoData) -> None:
    images = resident(data, flip=0.5, jitter=(0.5, 1.5), photometric=1.0)
    alone, together = (
        images.inputs([SampleIndex(1, 5)])[1],
        images.inputs([SampleIndex(1, 2), SampleIndex(1, 5)])[1],
    )
    assert torch.equal(alone[0], together[1])
    assert not torch.equal(alone, images.inputs([SampleIndex(2, 5)])[1])
    assert batch(images, 1, 2).images.isfinite().all()


def test_colours_do_not_depend_on_the_canvas() -> None:
    """Contrast changed around the mean of the canvas, which may be larger than the image."""
    image = torch.rand(1, 3, 8, 5, generator=torch.Generator().manual_seed(0))
    canvas, inside = torch.ones(1, 3, 10, 9), torch.zeros(1, 10, 9, dtype=torch.bool)
    canvas[:, :, :8, :5], inside[:, :8, :5] = image, True
    changes = torch.tensor([[1.1, 0.7, 1.2, 0.01]])
    alone = coloured(image, changes, torch.ones(1, 8, 5, dtype=torch.bool))
    torch.testing.assert_close(coloured(canvas, changes, inside)[:, :, :8, :5], alone)


def test_an_epoch_has_every_image_once(data: CocoData) -> None:
    images = resident(data)
    images.batches.start(2, 1)
    numbers = [inputs[0].tolist() for inputs in images]
    assert numbers == images.batches.batches(2)[1:]


def test_a_loader_gives_the_same_shapes_again_and_again_on_a_gpu(data: CocoData) -> None:
    dataset = DetectionDataset.training(data, PLAIN)
    loaded = Loaded(dataset, GroupedBatches(dataset.aspect_ratios, 4), model().train(), CPU, 0)
    loaded.slots, loaded.step = dataset.most_objects, 32  # as on a GPU
    shapes = {tuple(tensor.shape for tensor in inputs) for inputs in loaded}
    assert len(shapes) == 1
    assert default_workers(CPU) == 0
    assert default_workers(torch.device("cuda")) >= 1


def test_what_cannot_be_kept_is_left_to_a_loader(data: CocoData) -> None:
    dataset = DetectionDataset.training(data, PLAIN)
    assert not fits(dataset, CPU)
    for change in ({"mosaic": 0.5}, {"shortest": (32, 40)}):
        changed = DetectionDataset.training(data, PLAIN.model_copy(update=change))
        assert not fits(changed, torch.device("cuda"))
    assert dataclasses.replace(data.train).images, "the data are not empty"
