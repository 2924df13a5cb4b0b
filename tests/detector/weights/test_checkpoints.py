from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden
import pytest
import torch
from small_checkpoints import OTHER, QUICK, SMALL, STEM, as_d2go, assert_same, d2go_name, saved, scrambled
from torch import Tensor, nn

import detector
from detector.model.catalogue import published, published_settings
from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.weights.checkpoints import read_checkpoint
from detector.weights.loading import load_checkpoint
from detector.weights.saved import load_detector
from nars.errors import WeightsError

CONFIGS = golden.load("detectors.json")["configs"]


@pytest.mark.parametrize("config", CONFIGS)
def test_published_checkpoints_load_as_they_are(config: str, tmp_path: Path) -> None:
    """Names and order are those of the published state, by its fingerprint."""
    settings = published_settings(config)
    if "fpn" in config:  # the real one has 34 million parameters
        with torch.device("meta"):
            names = list(as_d2go(Detector(published(config), 80, settings)))
    else:
        model = scrambled(Detector(published(config), 80, settings))
        names = list(as_d2go(model))
        path = saved(tmp_path / "model_final.pth", {"model": as_d2go(model), "iteration": 479999})
        loaded = detector.build(config, 80, weights=path)
        assert_same(loaded, model.state_dict())
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    assert digest == CONFIGS[config]["names"]


def test_a_pyramid_loads(tmp_path: Path) -> None:
    parts = Parts(trunk=SMALL.stages[:3], rpn=[STEM.replace(stride=1)], box=SMALL.stages[1], fpn=16)
    settings = QUICK.replace(anchor_sizes=((8,), (16,), (32,)))
    model = scrambled(Detector(parts, 3, settings))
    path = saved(tmp_path / "fpn.pth", {"model": as_d2go(model)})
    other = Detector(parts, 3, settings)
    report = load_checkpoint(other, read_checkpoint(path))
    assert_same(other, model.state_dict())
    assert not report.fresh
    assert set(report.loaded) >= {"trunk", "pyramid"}


def averaged(good: dict[str, Tensor], bad: dict[str, Tensor], model: nn.Module) -> dict[str, Any]:
    parameters = {d2go_name(name) for name, _ in model.named_parameters()}
    params_first = {name: good[name] for name in sorted(good, key=lambda name: name not in parameters)}
    return {
        "D2Go": {"model": bad, "ema_state": params_first, "iteration": 9},
        "mobile-vision": {"model": bad, "model_ema": {"state": params_first, "decay": 0.9998}},
        "without buffers": {
            "model": bad | {name: each for name, each in good.items() if name not in parameters},
            "ema_state": {name: each for name, each in good.items() if name in parameters},
        },
        "alone": {"ema_state": params_first},
        "torchvision": {
            "model": bad,
            "model_ema": {"n_averaged": torch.tensor(5), **{f"module.{name}": good[name] for name in good}},
        },
        "plain": {"model": good, "ema_state": {}, "optimizer": {"state": {}}},
        "a decay for averages": {"model": good, "model_ema": 0.9998},
        "a tensor for averages": {"model": good, "ema_state": torch.ones(3)},
        "state_dict": {"state_dict": good},
        "bare": good,
        "parallel": {"model": {f"module.{name}": each for name, each in good.items()}},
        "compiled": {"model": {f"_orig_mod.{name}": each for name, each in good.items()}},
        "with constants": {
            "model": {
                "pixel_mean": torch.zeros(3, 1, 1),
                "pixel_std": torch.ones(3, 1, 1),
                "proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(15, 4),
                **good,
            }
        },
    }


LAYOUTS = list(averaged({}, {}, nn.Identity()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_averages_are_preferred_and_wrappers_seen_through(
    layout: str, small: nn.Module, tmp_path: Path
) -> None:
    good = as_d2go(small)
    bad = {name: torch.full_like(each, 9) for name, each in good.items()}
    path = saved(tmp_path / "c.pth", averaged(good, bad, small)[layout])
    checkpoint = read_checkpoint(path)
    assert checkpoint.layout == "D2Go detector"
    assert checkpoint.averaged == (layout in LAYOUTS[:5])
    assert_same(detector.build(SMALL, 3, weights=path, settings=QUICK), small.state_dict())


def test_another_number_of_classes_replaces_the_predictor_only(small: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "c.pth", as_d2go(small))
    torch.manual_seed(7)
    fresh = Detector(detector.parts_of(SMALL), 5, QUICK)
    before = {name: each.clone() for name, each in fresh.state_dict().items()}
    report = load_checkpoint(fresh, read_checkpoint(path))
    rest = r"(?!roi_heads.box_predictor)"
    assert_same(fresh, small.state_dict(), rest)
    assert_same(fresh, before, "roi_heads.box_predictor")
    assert list(report.fresh) == ["box predictor"]
    assert "another number of classes: " in report.fresh["box predictor"]
    assert "has 4 outputs in the file, 6 here" in report.fresh["box predictor"]
    assert list(report.loaded) == ["trunk", "RPN tower", "RPN predictor", "box head"]


def test_another_number_of_anchors_replaces_their_predictor_only(small: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "c.pth", as_d2go(small))
    model = Detector(detector.parts_of(SMALL), 3, QUICK.replace(anchor_ratios=(1,)))
    report = load_checkpoint(model, read_checkpoint(path))
    assert list(report.fresh) == ["RPN predictor"]
    assert "another number of anchors: " in str(report)


def test_heads_that_only_one_side_has_are_reported(small: nn.Module, tmp_path: Path) -> None:
    keypoints = {"roi_heads.keypoint_head.score_lowres.weight": torch.zeros(2, 2)}
    path = saved(tmp_path / "c.pth", as_d2go(small) | keypoints)
    model = Detector(detector.parts_of(SMALL), 3, QUICK.replace(mask=True))
    report = load_checkpoint(model, read_checkpoint(path))
    assert report.fresh == dict.fromkeys(["mask head", "mask predictor"], "the file has none")
    assert report.unused == {"keypoint head": "this network has none"}
    assert sum(report.loaded.values()) == len(small.state_dict())
    text = str(report)
    assert "c.pth (D2Go detector):" in text
    assert "unused: keypoint head: this network has none" in text


@pytest.mark.parametrize("norm", ["gn", "frozen_bn", "naive_sync_bn", "sync_bn"])
def test_norms_of_another_kind_take_what_they_have(norm: Any, small: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "c.pth", as_d2go(small))
    model = Detector(detector.parts_of(SMALL), 3, QUICK.replace(norm=norm))
    report = load_checkpoint(model, read_checkpoint(path))
    assert not report.fresh
    assert_same(model, small.state_dict())


def test_another_trunk_is_refused(small: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "c.pth", as_d2go(small))
    message = r"c.pth is of another network: .*trunk1.fbnetv2_1_0.* is \(16, .*\) in the file, \(20, "
    with pytest.raises(WeightsError, match=message):
        detector.build(OTHER, 3, weights=path, settings=QUICK)
    fewer = SMALL.replace(
        stages=[SMALL.stages[0], [SMALL.stages[1][0].replace(repeats=1)], *SMALL.stages[2:]]
    )
    with pytest.raises(WeightsError, match=r"the file's trunk has \d+ layers, the network's \d+"):
        detector.build(fewer, 3, weights=path, settings=QUICK)


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.trace}",)

    def __init__(self, trace: Path) -> None:
        self.trace = trace


@pytest.mark.parametrize("form", ["torch", "legacy torch", "pickle"])
@pytest.mark.parametrize("read", [read_checkpoint, load_detector])
def test_code_in_a_file_is_refused_unrun(read: Callable[[Path], Any], form: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "ran"
    content = {"model": {"backbone.x": Malicious(trace)}}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "torch")
    named = "" if form == "pickle" else r"it asks for (posix|nt)\.system"
    with pytest.raises(WeightsError, match=f"refused, since opening it could run code: {named}"):
        read(path)
    assert not trace.exists()


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("modern", [True, False])
def test_truncated_files_are_refused(cut: float, modern: bool, small: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save(as_d2go(small), path, _use_new_zipfile_serialization=modern)
    assert read_checkpoint(path).layout == "D2Go detector"
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(WeightsError, match=r"c.pth: (not a whole checkpoint|refused)"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no file of weights: it is empty"),
        (b"junk", "no file of weights: it is text"),
        (b"jun\xff\n", "not a whole checkpoint: cut short, or not written by"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_words(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"c.pth: {message}"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "a dictionary is expected, got list"),
        ({}, "no state of a network in it: it is empty"),
        ({"model": {"a.weight": 1}}, "'a.weight' is not a tensor"),
        ({"a.weight": torch.zeros(2, 2), "b.weight": torch.zeros(2)}, "neither a detector nor a classifier"),
        (
            {"backbone.body.trunk0.conv.weight": torch.zeros(1), "sem_seg_head.weight": torch.zeros(1)},
            "sem_seg_head belongs to no known part",
        ),
        ({"format": "nars.weights", "state": {}}, "damaged: 'mean'"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(saved(tmp_path / "c.pth", content))


def test_safetensors_are_read_and_checked(small: nn.Module, tmp_path: Path) -> None:
    path, state = tmp_path / "c.safetensors", as_d2go(small)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = io.BytesIO()
    names = {torch.float32: "F32", torch.int64: "I64"}
    for name, tensor in state.items():
        start = body.tell()
        body.write(tensor.numpy().tobytes())
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, body.tell()],
        }
    text = json.dumps(header).encode()
    whole = len(text).to_bytes(8, "little") + text + body.getvalue()
    path.write_bytes(whole)
    found = {layer.name: layer for layers in read_checkpoint(path).sections.values() for layer in layers}
    for name, tensor in state.items():
        owner, _, leaf = name.rpartition(".")
        torch.testing.assert_close(found[owner].tensors[leaf], tensor, rtol=0, atol=0)
    for broken in (whole[:-1], whole[:20], whole[:8] + b"{" * 50):
        path.write_bytes(broken)
        with pytest.raises(WeightsError, match="not a whole safetensors file"):
            read_checkpoint(path)
