"""Changes of whole batches against torchvision's of single images."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from nars.data.batched_policies import changed
from nars.data.policies import Policy, drawn_changes

STRENGTHS = {
    "Identity": (0.0,),
    "ShearX": (0.99, -0.3),
    "ShearY": (0.5, -0.2),
    "TranslateX": (9.7, -4.0),
    "TranslateY": (3.0, -17.2),
    "Rotate": (30.0, -131.0),
    "Brightness": (0.7, -0.9),
    "Color": (0.7, -0.9),
    "Contrast": (0.7, -0.9),
    "Sharpness": (0.9, -0.9),
    "Posterize": (8.0, 5.0, 2.0),
    "Solarize": (1.0, 0.4, 0.0),
    "AutoContrast": (0.0,),
    "Equalize": (0.0,),
    "Invert": (0.0,),
}


def pictures(channels: int) -> torch.Tensor:
    """Smooth pictures, on which a place that is half a pixel off shows as little as it does on photos."""
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(3, channels, 6, 6, generator=generator) * 255
    fine = torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic").clamp(0, 255)
    return fine.to(torch.uint8)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_the_smallest_images_are_changed_too(side: int) -> None:
    images = torch.full((1, 3, side, side), 100, dtype=torch.uint8)
    for name, strengths in STRENGTHS.items():
        assert changed(images, [(name, strengths[0])]).shape == images.shape


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", STRENGTHS)
def test_a_change_is_that_of_torchvision(name: str, channels: int) -> None:
    policy = v2.RandAugment(interpolation=InterpolationMode.BILINEAR)
    for strength in STRENGTHS[name]:
        images = pictures(channels)
        expected = torch.stack(
            [
                policy._apply_image_or_video_transform(
                    image, name, strength, interpolation=InterpolationMode.BILINEAR, fill={}
                )
                for image in images
            ]
        )
        result = changed(images, [(name, strength)] * len(images))
        off = (result.int() - expected.int()).abs()
        assert off.max() <= 1, (strength, off.max())
        assert off.float().mean() < 0.1  # sharpness has .06, moves .01, the others 0


def test_each_image_gets_its_own_change() -> None:
    images = pictures(3)
    result = changed(images, [("Invert", 0.0), ("Identity", 0.0), ("Brightness", -1.0)])
    assert torch.equal(result[0], 255 - images[0])
    assert torch.equal(result[1], images[1])
    assert not result[2].any()


@pytest.mark.parametrize(("policy", "rounds"), [("trivial_augment", 1), ("rand_augment", 2)])
def test_changes_are_drawn_as_torchvision_does(policy: Policy, rounds: int) -> None:
    drawn = drawn_changes(6000, 32, policy, 9, torch.Generator().manual_seed(2))
    assert len(drawn) == rounds
    for changes in drawn:
        counts = Counter(name for name, _ in changes)
        assert len(counts) == 14
        assert max(counts.values()) < 1.2 * 6000 / 14
        rotations = [strength for name, strength in changes if name == "Rotate"]
        assert abs(sum(strength < 0 for strength in rotations) / len(rotations) - 0.5) < 0.1
        largest = 135 if policy == "trivial_augment" else 30 * 9 / 30
        assert max(map(abs, rotations)) == pytest.approx(largest)
        assert len(set(map(abs, rotations))) == (31 if policy == "trivial_augment" else 1)


def test_the_same_generator_draws_the_same() -> None:
    first, second = (
        drawn_changes(9, 32, "trivial_augment", 9, torch.Generator().manual_seed(2)) for _ in range(2)
    )
    assert first == second
