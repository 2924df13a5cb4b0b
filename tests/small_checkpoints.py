"""Checkpoints of a small detector, as D2Go writes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detector.model.settings import Settings
from nars.spec import Architecture, Block

STEM = Block(op="conv", channels=8, kernel=3, stride=2)
SMALL = Architecture(
    name="small",
    resolution=32,
    stages=[
        [STEM, Block(op="mbconv", channels=8, kernel=3, expansion=1)],
        [Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2, repeats=2, se="hsigmoid")],
        [Block(op="mbconv", channels=24, kernel=3, expansion=2, stride=2, repeats=2)],
        [Block(op="mbpool", channels=40, expansion=2)],
    ],
)
OTHER = SMALL.replace(stages=[SMALL.stages[0], [SMALL.stages[1][0].replace(channels=20)], *SMALL.stages[2:]])
QUICK = Settings(norm="bn")


def scrambled(model: nn.Module, seed: int = 0) -> nn.Module:
    """With random numbers in every tensor, running statistics included."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            values = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            positive = name.endswith("running_var") or tensor.dim() == 1
            tensor.copy_(0.5 + values.abs() if positive else values * tensor[0].numel() ** -0.5)
    return model.eval()


def d2go_name(name: str) -> str:
    """What a tensor of ours is called in D2Go, but for names within blocks."""
    rules = {
        r"^backbone\.trunk\.stages\.(\d+)\.(\d+)\.": r"backbone.body.trunk\1.fbnetv2_\1_\2.",
        r"^rpn\.head\.tower\.stages\.0\.(\d+)\.": r"proposal_generator.rpn_head.rpn_feature.0.fbnetv2_0_\1.",
        r"^rpn\.head\.": "proposal_generator.rpn_head.rpn_regressor.",
        r"^(roi_heads\.box_head)\.stages\.stages\.0\.(\d+)\.": r"\1.roi_box_conv.0.fbnetv2_0_\2.",
        r"^(roi_heads\.mask_head)\.stages\.stages\.0\.(\d+)\.": r"\1.feature_extractor.0.fbnetv2_0_\2.",
        r"^roi_heads\.mask_predictor\.": "roi_heads.mask_head.predictor.mask_fcn_logits.",
        r"layers\.expand\.0\.": "pw.conv.",
        r"layers\.expand\.1\.": "pw.bn.",
        r"layers\.depthwise\.0\.": "dw.conv.",
        r"layers\.se\.fc1\.": "se.se.0.conv.",
        r"layers\.se\.fc2\.": "se.se.1.",
        r"layers\.project\.0\.": "pwl.conv.",
        r"layers\.project\.1\.": "pwl.bn.",
        r"(trunk0\.fbnetv2_0_0\.)0\.": r"\1conv.",
        r"(trunk0\.fbnetv2_0_0\.)1\.": r"\1bn.",
    }
    for rule, replacement in rules.items():
        name = re.sub(rule, replacement, name)
    return name


def as_pyramid(name: str) -> str:
    """Names of a detector with a feature pyramid, from those without."""
    name = name.replace("backbone.body.", "backbone.bottom_up.")
    kinds = {("lateral", "0"): "lateral{}.", ("lateral", "1"): "lateral{}.norm."}
    kinds |= {("output", index): kinds["lateral", index].replace("lateral", "output") for index in "01"}
    found = re.match(r"backbone\.fpn\.levels\.(\d)\.(\w+)\.(\d)\.", name)
    if found:
        start = kinds[found[2], found[3]].format(int(found[1]) + 2)
        name = f"backbone.fpn_{start}{name[found.end() :]}"
    return name


def as_d2go(model: nn.Module) -> dict[str, Tensor]:
    return {
        as_pyramid(d2go_name(name)) if "p2" in model.backbone.names else d2go_name(name): each
        for name, each in model.state_dict().items()
    }


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def assert_same(found: nn.Module, expected: dict[str, Tensor], sections: str = "") -> None:
    """All tensors equal, but for the counters of norms, of those whose name matches."""
    for name, tensor in found.state_dict().items():
        if not name.endswith("num_batches_tracked") and re.match(sections, name):
            torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)
