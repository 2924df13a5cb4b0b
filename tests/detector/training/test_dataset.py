from __future__ import annotations

import math
from pathlib import Path

import folders
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from detector.data import layouts as coco
from detector.data import scenes
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Subset
from detector.model.resizing import resized
from detector.training.augment import Augmentation, Resize, Sample, mosaic, pipeline
from detector.training.batches import GroupedBatches, SampleIndex
from detector.training.dataset import DetectionDataset, training_loader
from detector.training.hyperparameters import Training
from nars.errors import DataError, SpecError

EVERYTHING = Augmentation(shortest=(96, 128), longest=160, jitter=(0.5, 2), photometric=0.5, mosaic=0.3)
PLAIN = Augmentation(shortest=(128,), longest=160, flip=0)


@pytest.fixture(scope="module")
def data() -> CocoData:
    return scenes.make(train=24, val=6)


def _equal(first: Sample, second: Sample) -> bool:
    return torch.equal(first[0], second[0]) and all(
        torch.equal(first[1][key], second[1][key]) for key in first[1] | second[1]
    )


def _boxes_of(masks: torch.Tensor) -> torch.Tensor:
    """Return tight boxes [N, 4] of masks [N, H, W]; right and bottom are one past the last pixel."""
    rows = [mask.nonzero() for mask in masks]
    return torch.tensor(
        [[*points.amin(0).flip(0).tolist(), *(points.amax(0).flip(0) + 1).tolist()] for points in rows]
    )


def test_a_sample_has_the_form_that_torchvision_takes(data: CocoData) -> None:
    image, target = DetectionDataset.training(data, PLAIN, masks=True)[0]
    count = len(data.train.by_image[1])
    assert image.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
    assert type(image) is torch.Tensor
    shapes = {key: (tuple(value.shape), value.dtype) for key, value in target.items()}
    assert shapes == {
        "boxes": ((count, 4), torch.float32),
        "labels": ((count,), torch.int64),
        "masks": ((count, *image.shape[1:]), torch.uint8),
        "area": ((count,), torch.float32),
        "iscrowd": ((count,), torch.int64),
        "image_id": ((), torch.int64),
        "size": ((2,), torch.int64),
    }
    assert all(type(value) is torch.Tensor for value in target.values())
    assert target["size"].tolist() == [data.train.images[0].height, data.train.images[0].width]


def test_boxes_are_scaled_with_their_image(tmp_path: Path) -> None:
    data = coco.load(folders.coco(tmp_path))
    image, target = DetectionDataset.training(data, Augmentation(shortest=(96,), longest=200, flip=0))[0]
    assert image.shape == (3, 96, 128)
    assert target["boxes"].tolist() == [[8, 12, 48, 32], [60, 16, 85, 76]]
    assert target["labels"].tolist() == [2, 1]
    assert target["area"].tolist() == [800, 1500]


def test_crowds_are_left_out_and_an_image_without_boxes_is_background(tmp_path: Path) -> None:
    def spoil(document: folders.Document) -> None:
        document["annotations"][0]["iscrowd"] = 1
        document["annotations"] = [
            annotation for annotation in document["annotations"] if annotation["image_id"] != 2
        ]

    data = coco.load(folders.coco(tmp_path, spoil))
    for settings in (Augmentation(), EVERYTHING.replace(mosaic=0)):
        dataset = DetectionDataset.training(data, settings.replace(jitter=(1, 1)))
        assert dataset[0][1]["labels"].tolist() == [1]
        assert dataset[1][1]["boxes"].shape == (0, 4)
        assert dataset[1][1]["labels"].shape == dataset[1][1]["area"].shape == (0,)
        assert sum(len(target["boxes"]) for _, target in dataset) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bbox": [70, 5, 9, 9]}, "no area inside"),
        ({"category_id": 99}, "no category with id 99"),
        ({"segmentation": None}, "has no segmentation"),
    ],
)
def test_records_that_were_not_checked_are_refused_by_name(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    data = coco.load(folders.coco(tmp_path, lambda document: document["annotations"][0].update(change)))
    with pytest.raises(DataError, match=rf"1\.png: annotation 2.*{words}"):
        DetectionDataset(data.train, {3: 1, 7: 2}, PLAIN, masks="segmentation" in change)


def test_boxes_over_the_border_are_clipped(tmp_path: Path) -> None:
    spoil = lambda document: document["annotations"][0].update(bbox=[-10, -10, 90, 90])  # noqa: E731
    dataset = DetectionDataset.training(coco.load(folders.coco(tmp_path, spoil)), PLAIN)
    image, target = dataset[0]
    assert target["boxes"][0].tolist() == [0, 0, image.shape[2], image.shape[1]]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (10_000, 20), (5, 10_000)])
def test_extreme_images_go_through(tmp_path: Path, width: int, height: int) -> None:
    Image.new("L", (width, height), 255).save(tmp_path / "a.png")
    split = Subset(
        "train",
        tmp_path,
        tmp_path,
        (ImageRecord(1, "a.png", width, height),),
        (Annotation(1, 1, 1, (0, 0, width, height), width * height),),
        (Category(1, "all"),),
    )
    image, target = DetectionDataset(split, {1: 1}, PLAIN)[0]
    assert image.shape[1:] == resized(height, width, 128, 160)
    assert target["boxes"].tolist() == [[0, 0, image.shape[2], image.shape[1]]]
    for epoch in range(5):
        image, target = DetectionDataset(split, {1: 1}, EVERYTHING)[SampleIndex(epoch, 0)]
        assert max(image.shape[1:]) <= 160


# detectron2's ResizeShortestEdge on the same sizes (height, width), computed by its published rule.
@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (224, 299)), ((640, 480), (299, 224)), ((300, 500), (192, 320)), ((224, 224), (224, 224))],
)
def test_sizes_are_those_of_detectron2(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resized(*size, 224, 320) == expected


def test_shrinking_is_antialiased() -> None:
    """A chequerboard of single pixels becomes grey; without antialiasing it stays black and white."""
    board = torch.from_numpy(np.indices((400, 400)).sum(0) % 2).to(torch.uint8).mul(255).expand(3, -1, -1)
    small = Resize([40], 40)(tv_tensors.Image(board))
    assert small.shape == (3, 40, 40)
    assert (small.float() - 127.5).abs().max() < 3


def test_jitter_covers_its_range_and_never_exceeds_the_size(data: CocoData) -> None:
    dataset = DetectionDataset.training(data, PLAIN.replace(jitter=(0.5, 2)))
    plain = DetectionDataset.training(data, PLAIN)
    heights = []
    for epoch in range(30):
        image, target = dataset[SampleIndex(epoch, 0)]
        assert image.shape[1] <= plain[0][0].shape[1]
        heights.append(image.shape[1] / plain[0][0].shape[1])
        if len(target["boxes"]):
            assert target["boxes"].min() >= 0
            assert (target["boxes"][:, 2:] - target["boxes"][:, :2]).min() >= 1
    assert min(heights) < 0.65, "30 draws from 0.5..2 have one below 0.65 but for 1 in 20"
    assert max(heights) == 1


@pytest.mark.parametrize("kind", [Training, Augmentation])
def test_jitter_names_the_lower_factor_first(kind: type[Training] | type[Augmentation]) -> None:
    with pytest.raises(SpecError, match="the lower factor comes first"):
        kind(jitter=(1.2, 0.8))


@pytest.mark.parametrize(
    "settings", [PLAIN.replace(flip=1), PLAIN.replace(jitter=(0.5, 2)), PLAIN.replace(mosaic=1)]
)
def test_boxes_and_masks_move_together(data: CocoData, settings: Augmentation) -> None:
    """A tight box stays tight around its mask to two pixels: rounding of box, crop and mask."""
    dataset = DetectionDataset.training(data, settings, masks=True)
    seen = 0
    for index in range(8):
        target = dataset[index][1]
        image_height, image_width = target["masks"].shape[1:]
        left, top, right, bottom = target["boxes"].unbind(1)
        # A digit cut at the border may have its ink, and so its tight box, elsewhere in the box.
        inside = (left > 2) & (top > 2) & (right < image_width - 2) & (bottom < image_height - 2)
        if inside.any():
            difference = target["boxes"][inside] - _boxes_of(target["masks"][inside])
            assert difference.abs().max() <= 2
            seen += int(inside.sum())
        assert torch.equal(target["area"], target["masks"].flatten(1).sum(1).float())
    assert seen > 5


def test_a_mosaic_holds_the_boxes_of_four(data: CocoData) -> None:
    dataset = DetectionDataset.training(data, PLAIN, masks=True)
    parts = [dataset._raw(index) for index in range(4)]
    torch.manual_seed(0)
    image, target = mosaic(parts, 160)
    assert image.shape == (3, 160, 160)
    assert len(target["boxes"]) == sum(len(part["boxes"]) for _, part in parts)
    assert torch.equal(target["labels"], torch.cat([part["labels"] for _, part in parts]))
    assert target["image_id"] == parts[0][1]["image_id"]
    assert target["masks"].sum(0).max() == 1, "masks of four quarters do not overlap"


def test_a_sample_depends_only_on_seed_epoch_and_index(data: CocoData) -> None:
    dataset = DetectionDataset.training(data, EVERYTHING, masks=True, seed=1)
    first = dataset[SampleIndex(3, 5)]
    state = torch.get_rng_state()
    torch.manual_seed(99)
    assert _equal(dataset[SampleIndex(3, 5)], first)
    assert not torch.equal(torch.get_rng_state(), state), "seeded by the test itself"
    before = torch.get_rng_state()
    assert not torch.equal(dataset[SampleIndex(4, 5)][0], first[0])
    assert torch.equal(torch.get_rng_state(), before), "the global generator is left as it was"
    other = DetectionDataset.training(data, EVERYTHING, masks=True, seed=2)
    assert not torch.equal(other[SampleIndex(3, 5)][0], first[0])
    torch.set_rng_state(state)


def test_workers_and_restarts_give_the_same_batches(data: CocoData) -> None:
    dataset = DetectionDataset.training(data, EVERYTHING)
    batches = GroupedBatches(dataset.aspect_ratios, batch_size=5, seed=7)
    alone = training_loader(dataset, batches)
    batches.start(2)
    whole = list(alone)
    shared = training_loader(dataset, batches, workers=2)
    for position in (0, 3):
        batches.start(2, position)
        assert len(shared) == len(whole) - position
        resumed = list(shared)
        assert len(resumed) == len(whole) - position
        for (images, targets), (expected, _) in zip(resumed, whole[position:], strict=True):
            assert all(map(torch.equal, images, expected))
            assert len(targets) == len(images)


def test_files_can_be_named(tmp_path: Path) -> None:
    dataset = DetectionDataset.training(coco.load(folders.coco(tmp_path)), PLAIN)
    file = dataset.file(2)
    assert file == tmp_path / "train" / "3.png"
    file.write_bytes(b"")
    with pytest.raises(DataError, match=r"3\.png"):
        dataset[2]
    with pytest.raises(IndexError):
        dataset[4]


RATIOS = [1.5] * 23 + [0.7] * 14


@pytest.mark.parametrize("batch_size", [1, 4, 37, 50])
def test_an_epoch_has_every_image_once(batch_size: int) -> None:
    batches = GroupedBatches(RATIOS, batch_size)
    epoch = batches.batches(0)
    assert sorted(number for batch in epoch for number in batch) == list(range(37))
    assert len(epoch) == batches.steps_per_epoch == math.ceil(37 / batch_size)
    assert batches.batches(0) == epoch
    assert batches.batches(1) != epoch
    assert GroupedBatches(RATIOS, batch_size, seed=1).batches(0) != epoch


def test_batches_are_of_one_shape_but_for_the_rest() -> None:
    mixed = [batch for batch in GroupedBatches(RATIOS, 4).batches(0) if len({RATIOS[i] for i in batch}) > 1]
    assert len(mixed) <= 1, "23 = 5 x 4 + 3 and 14 = 3 x 4 + 2 leave five images in two batches"


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_batches_of_one_process(world_size: int) -> None:
    ranks = [
        GroupedBatches(RATIOS, 4 * world_size, rank=rank, world_size=world_size).batches(5)
        for rank in range(world_size)
    ]
    one = GroupedBatches(RATIOS, 4 * world_size).batches(5)
    assert {len(rank) for rank in ranks} == {len(one)}
    for step, batch in enumerate(one):
        parts = [rank[step] for rank in ranks]
        assert {number for part in parts for number in part} == set(batch)
        assert len({len(part) for part in parts}) == 1


def test_an_iteration_begins_at_the_position_that_was_set() -> None:
    batches = GroupedBatches(RATIOS, 4)
    batches.start(3, 2)
    drawn = list(batches)
    assert [[draw.image for draw in batch] for batch in drawn] == batches.batches(3)[2:]
    assert {draw.epoch for batch in drawn for draw in batch} == {3}
    assert len(batches) == len(drawn)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"shortest": (400,)}, "shortest 400 is above longest 320"),
        ({"jitter": (2, 1)}, "the lower factor comes first"),
        ({"jitter": (0, 1)}, "greater than 0"),
        ({"flip": 1.5}, "flip"),
        ({"shortest": ()}, "shortest"),
        ({"flipp": 1}, "flip"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Augmentation(**fields)


def test_without_augmentation_an_image_is_only_resized() -> None:
    steps = [type(step).__name__ for step in pipeline(PLAIN).transforms]
    assert steps == ["Resize", "ToDtype", "SanitizeBoundingBoxes", "ToPureTensor"]
