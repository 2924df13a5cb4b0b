"""A teacher's part in the loss, and in a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nars.data import ImageData, load
from nars.device import seeded
from nars.errors import RunError, UsageError
from nars.networks.build import build
from nars.spec import Architecture, Block, Recipe
from nars.training.loop import Outputs, Trained, train
from nars.training.teacher import Teacher, check_teacher, taught

CPU = torch.device("cpu")

SMALL = Architecture(
    name="small",
    resolution=8,
    stages=[
        [Block(op="conv", kernel=3, channels=8)],
        [Block(op="mbconv", kernel=3, channels=16, expansion=2, stride=2)],
    ],
)
TAUGHT = Recipe(epochs=2, batch_size=128, lr=0.1, distill=1.0, distill_temperature=3.0)


class Sure(nn.Module):
    """A teacher that is sure of one class for every image."""

    def __init__(self, answer: int) -> None:
        super().__init__()
        self.register_buffer("answer", torch.tensor(answer))
        self.seen: list[Tensor] = []
        self.in_channels = 3

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        assert isinstance(self.answer, Tensor)
        return 20 * nn.functional.one_hot(self.answer, 10).float().expand(len(images), -1)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load("digits")


def run(data: ImageData, recipe: Recipe, teacher: Teacher | None, outputs: Outputs | None = None) -> Trained:
    with seeded(0, CPU):
        model = build(SMALL, 10, recipe)
    return train(model, data, recipe, resolution=8, device=CPU, seed=0, teacher=teacher, outputs=outputs)


def test_the_loss_is_a_share_of_both() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, answers = torch.randn(2, 4, 10, generator=generator)
    label_loss = torch.tensor(0.7)
    probabilities = (answers / 3).softmax(1)
    by_hand = (probabilities * (probabilities.log() - (logits / 3).log_softmax(1))).sum(1).mean() * 9
    half = TAUGHT.replace(distill=0.5)
    torch.testing.assert_close(taught(label_loss, logits, answers, TAUGHT), by_hand)
    torch.testing.assert_close(taught(label_loss, logits, answers, half), 0.35 + by_hand / 2)
    assert float(taught(label_loss, answers, answers, TAUGHT)) == pytest.approx(0, abs=1e-6)


def test_a_student_learns_what_its_teacher_says(data: ImageData) -> None:
    """A teacher that takes every digit for a seven makes its student answer seven."""
    trained = run(data, TAUGHT, Teacher(Sure(7), 8))
    share_of_sevens = float((data.val.labels == 7).float().mean())
    assert trained.val.accuracy == pytest.approx(share_of_sevens, abs=1e-6)
    assert trained.val.recall[7] == 1


def test_it_sees_the_students_images_at_its_own_size(data: ImageData) -> None:
    network = Sure(0)
    run(data, TAUGHT.replace(epochs=1), Teacher(network, 12))
    assert {tuple(images.shape[1:]) for images in network.seen} == {(3, 12, 12)}
    assert sum(map(len, network.seen)) == len(data.train)
    grey = torch.rand(2, 1, 8, 8)
    Teacher(network, 8)(grey)
    torch.testing.assert_close(network.seen[-1], grey.expand(-1, 3, -1, -1))


def test_a_teacher_of_grey_images_sees_the_colours_of_its_student_in_grey() -> None:
    network = Sure(0)
    network.in_channels = 1
    colours = torch.rand(2, 3, 8, 8)
    Teacher(network, 8)(colours)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    torch.testing.assert_close(network.seen[-1], (colours * weights).sum(1, keepdim=True))


def test_a_teacher_of_colours_sees_each_channel_normalized_as_its_own() -> None:
    """Of a student of grey images, which are normalized as the first channel."""
    network = Sure(3)
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])
    pixels = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    Teacher(network, 8, (mean, std))((pixels - mean[0]) / std[0])
    expected = (pixels - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(network.seen[0], expected)


def test_recipes_without_distillation_ignore_it(data: ImageData) -> None:
    alone = TAUGHT.replace(distill=0.0)
    states = [run(data, alone, teacher).model.state_dict() for teacher in (None, Teacher(Sure(7), 8))]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_recipe_that_needs_one_is_refused_without(data: ImageData) -> None:
    with pytest.raises(UsageError, match=r"distill 1 needs a teacher: --init .*; or distill 0"):
        run(data, TAUGHT, None)
    check_teacher(TAUGHT.replace(distill=0.0), None)


def test_a_checkpoint_knows_its_teacher(data: ImageData, tmp_path: Path) -> None:
    first = Outputs(checkpoint=tmp_path / "checkpoint.pt", on_epoch=lambda progress: False)
    run(data, TAUGHT, Teacher(Sure(7), 8), first)
    again = Outputs(checkpoint=tmp_path / "checkpoint.pt")
    with pytest.raises(RunError, match="teacher was"):
        run(data, TAUGHT, Teacher(Sure(3), 8), again)
    resumed = run(data, TAUGHT, Teacher(Sure(7), 8), again)
    whole = run(data, TAUGHT, Teacher(Sure(7), 8))
    states = [trained.model.state_dict() for trained in (resumed, whole)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
