"""The closed form against published figures (params in weights of convolutions, FLOPs their way)."""

from __future__ import annotations

import pytest

from nars.space.cost import count
from nars.spec import Architecture
from search_spaces import published

# Published with the networks (mobile-vision, model_info); A0's by the same counting.
FIGURES = {
    "fbnetv3_a0": (6_275_532, 218_578_288),
    "fbnetv3_a": (8_542_224, 356_598_280),
    "fbnetv3_b": (8_542_224, 461_550_136),
    "fbnetv3_c": (9_907_136, 556_969_904),
    "fbnetv3_d": (10_237_552, 644_420_352),
    "fbnetv3_e": (10_699_464, 762_046_336),
    "fbnetv3_f": (13_803_072, 1_181_644_520),
    "fbnetv3_g": (16_513_648, 2_129_656_384),
}


@pytest.mark.parametrize("name", FIGURES)
def test_published_figures(name: str) -> None:
    cost = count(published(name))
    assert (cost.published_params, cost.published_flops) == FIGURES[name]


def test_a0_by_our_counting() -> None:
    cost = count(published("fbnetv3_a0"))
    assert cost.params == 6_309_976
    assert cost.macs == 217_917_744


def test_one_convolution_by_hand() -> None:
    stem = Architecture(resolution=8, stages=[[{"op": "conv", "kernel": 3, "channels": 4, "stride": 2}]])
    cost = count(stem, num_classes=5)
    assert cost.macs == 4 * 4 * 27 * 4 + 4 * 5
    assert cost.params == 27 * 4 + 4 + 2 * 4 + 4 * 5 + 5


def test_an_upsampling_row_loses_what_its_padding_does_not_cover() -> None:
    up = {"op": "mbconv", "kernel": 3, "expansion": 1, "channels": 4, "stride": -2, "padding": 0}
    cost = count(Architecture(resolution=8, in_channels=8, stages=[[up]]), num_classes=5)
    assert cost.macs == 14 * 14 * (8 * 9 + 8 * 4) + 4 * 5
