from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import golden
import pytest
import torch
from torch import Tensor, nn

import detector
import nars
from detector.model.catalogue import published, published_settings
from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.model.settings import Pixels, Settings
from detector.weights import zoo
from detector.weights.checkpoints import read_checkpoint
from detector.weights.loading import load_checkpoint
from detector.weights.saved import load_detector, save_detector
from nars.errors import UsageError, WeightsError
from nars.networks.weights import save_weights
from nars.spec import Architecture, Block, Candidate
from search_spaces import published as classifier

CONFIGS = golden.load("detectors.json")["configs"]

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


@pytest.fixture
def small() -> nn.Module:
    return scrambled(detector.build(SMALL, 3, settings=QUICK))


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
        "plain": {"model": good, "ema_state": {}, "optimizer": {"state": {}}},
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
    assert checkpoint.averaged == (layout in LAYOUTS[:4])
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


def without_padding(architecture: Architecture) -> Architecture:
    """As timm has it: every kernel padded by half of it."""
    stages = [[row.replace(padding=None) for row in stage] for stage in architecture.stages]
    return architecture.replace(stages=stages)


@pytest.mark.parametrize("letter", ["b", *(pytest.param(each, marks=pytest.mark.slow) for each in "dg")])
def test_weights_of_timm(letter: str, tmp_path: Path) -> None:
    """The same logits, and in the detector cut from the same architecture the same C4."""
    timm = pytest.importorskip("timm")
    theirs = scrambled(timm.create_model(f"fbnetv3_{letter}", pretrained=False, num_classes=50)).double()
    path = saved(tmp_path / "timm.pth", theirs.float().state_dict())
    theirs.double()
    architecture = without_padding(classifier(f"fbnetv3_{letter}"))
    ours = nars.build(architecture, 50).double().eval()
    checkpoint = read_checkpoint(path)
    assert checkpoint.layout == "timm classifier"
    report = load_checkpoint(ours, checkpoint)
    assert report.notes == []
    assert list(report.loaded) == ["stages", "predictor"]
    x = torch.randn(2, 3, 96, 80, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(x)
        assert expected.std() > 0.01  # neither saturated nor dead
        torch.testing.assert_close(ours(x), expected, rtol=1e-9, atol=1e-9)

        model = detector.build(architecture, 4, weights=path).double().eval()
        assert model.settings.pixels == Pixels(
            order="rgb", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
        )
        c4 = theirs.blocks[:5](theirs.bn1(theirs.conv_stem(x)))
        torch.testing.assert_close(model.backbone(x)["c4"], c4, rtol=1e-9, atol=1e-9)
        c5 = theirs.blocks[5](c4)
        torch.testing.assert_close(model.roi_heads.box_head(c4), c5.mean((2, 3)), rtol=1e-9, atol=1e-9)


def test_where_timm_differs_from_the_published_network(tmp_path: Path) -> None:
    """Published B pads two blocks less than half their kernel: other outputs, and a note that says so."""
    timm = pytest.importorskip("timm")
    theirs = scrambled(timm.create_model("fbnetv3_b", pretrained=False, num_classes=7))
    path = saved(tmp_path / "timm.pth", theirs.state_dict())
    ours = nars.build(classifier("fbnetv3_b"), 7).eval()
    report = load_checkpoint(ours, read_checkpoint(path))
    assert "timm pads by half of every kernel" in str(report)
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert not torch.allclose(ours(x), theirs(x), rtol=1e-2)
    changed = nars.build(classifier("fbnetv3_b"), 9).eval()
    assert (
        "7 outputs in the file, 9 here" in load_checkpoint(changed, read_checkpoint(path)).fresh["predictor"]
    )


@pytest.fixture(params=[".pt", ".safetensors"])
def searched(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[nn.Module, Path]:
    """A classifier as `nars train` leaves it."""
    model = scrambled(nars.build(SMALL, 2))
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.25, 1.0])
    path = tmp_path / f"best{request.param}"
    metrics = {"accuracy": 0.9}
    save_weights(path, model, Candidate(architecture=SMALL), metrics, classes=("a", "b"), mean=mean, std=std)
    return model, path


def test_a_searched_classifier_initialises_its_detector(searched: tuple[nn.Module, Path]) -> None:
    model, path = searched
    found = detector.build(SMALL, 3, weights=path)
    state = {f"backbone.trunk.{name}": each for name, each in model.state_dict().items()}
    assert_same(found, state, r"backbone")
    box_head = {
        name.replace("stages.2.", "roi_heads.box_head.stages.stages.0."): each
        for name, each in model.state_dict().items()
    }
    assert_same(found, box_head, r"roi_heads\.box_head")
    assert found.settings.pixels.order == "rgb"
    assert found.settings.pixels.mean == pytest.approx((25.5, 51, 76.5))
    assert found.settings.pixels.std == pytest.approx((127.5, 63.75, 255))

    kept = detector.build(SMALL, 3, settings=QUICK)
    report = load_checkpoint(kept, read_checkpoint(path))
    assert "these weights were trained on pixels normalized otherwise" in str(report)
    assert report.unused == {"classifier's head": "this network has none"}
    assert report.fresh.keys() == {"RPN tower", "RPN predictor", "box predictor"}


def test_a_searched_classifier_gives_its_detector_the_same_trunk(searched: tuple[nn.Module, Path]) -> None:
    """What the classifier's third stage sees for an image is what the proposals are made of."""
    model, path = searched
    found = detector.build(SMALL, 3, weights=path).eval()
    image = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(0))
    normalized = (image - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.25, 1])[
        :, None, None
    ]
    with torch.no_grad():
        expected = model.stages[:2](normalized[None])
        seen = found.backbone(found.transform.normalize(image)[None])["c4"]
    torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_saved_detectors_come_back(suffix: str, small: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / f"best{suffix}"
    save_detector(path, small, ("cat", "dog", "cow"), {"AP": 0.5})
    content = load_detector(path)
    assert content.classes == ("cat", "dog", "cow")
    assert content.metrics == {"AP": 0.5}
    assert content.parts == small.parts
    assert content.settings == small.settings
    back = content.detector()
    assert not back.training
    assert_same(back, small.state_dict())
    # and start another training
    checkpoint = read_checkpoint(path)
    assert checkpoint.classes == ("cat", "dog", "cow")
    assert_same(detector.build(SMALL, 3, weights=path, settings=QUICK), small.state_dict())
    with pytest.raises(UsageError, match="2 class names for a detector of 3 classes"):
        save_detector(path, small, ("cat", "dog"))


@pytest.mark.parametrize("missing", ["parts", "settings", "classes", "state", "metrics"])
def test_damaged_files_of_detectors_are_refused(missing: str, small: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_detector(path, small, ("cat", "dog", "cow"))
    content = torch.load(path, weights_only=True)
    del content[missing]
    with pytest.raises(WeightsError, match=f"damaged: '{missing}'"):
        load_detector(saved(path, content))
    with pytest.raises(WeightsError, match="schema is 9"):
        load_detector(saved(path, content | {"schema": 9}))
    with pytest.raises(WeightsError, match="not a file of a nars detector"):
        load_detector(saved(path, {"model": {}}))


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


@pytest.mark.parametrize("cut", [0.0, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("modern", [True, False])
def test_truncated_files_are_refused(cut: float, modern: bool, small: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save(as_d2go(small), path, _use_new_zipfile_serialization=modern)
    assert read_checkpoint(path).layout == "D2Go detector"
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(WeightsError, match=r"c.pth: (not a whole checkpoint|refused)"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"junk", b"junk\n"])
def test_what_is_no_checkpoint_is_refused_in_words(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"c.pth: not a whole checkpoint: cut short, or not written by"):
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
    for broken in (whole[:-1], whole[:20], b"", whole[:8] + b"{" * 50):
        path.write_bytes(broken)
        with pytest.raises(WeightsError, match="not a whole safetensors file"):
            read_checkpoint(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NARS_CACHE", str(tmp_path))
    return tmp_path / "weights"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(zoo, "urlopen", refuse)


def test_every_entry_has_an_address_and_terms() -> None:
    assert len(zoo.entries()) == 17
    assert "non-commercial" in zoo.licence("fbnetv3_a_imagenet")
    assert "states no licence for the weights" in zoo.licence("fbnetv3a_dsmask_c4_coco")
    assert len({entry.address for entry in zoo.entries().values()}) == 17


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_message_says_where_the_file_goes(cache: Path) -> None:
    place = cache / "fbnetv3a_dsmask_c4_coco.pth"
    with pytest.raises(WeightsError, match=r"cannot download .*no route to host.*put it at") as raised:
        detector.build("fbnetv3a_dsmask_c4", 80, weights="fbnetv3a_dsmask_c4_coco")
    assert str(place) in str(raised.value)
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("offline")
def test_a_file_on_disk_comes_first_and_may_not_change(cache: Path, small: nn.Module) -> None:
    cache.mkdir()
    path = saved(cache / "fbnetv3a_dsmask_c4_coco.pth", as_d2go(small))
    assert_same(
        detector.build(SMALL, 3, weights="fbnetv3a_dsmask_c4_coco", settings=QUICK), small.state_dict()
    )
    record = cache / "fbnetv3a_dsmask_c4_coco.pth.sha256"
    assert record.read_text().split()[0] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert zoo.fetch("fbnetv3a_dsmask_c4_coco") == path
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="is not what it was at its first use"):
        zoo.fetch("fbnetv3a_dsmask_c4_coco")


def test_a_download_is_kept_whole_or_not_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(request: Any, timeout: float) -> io.BytesIO:
        asked.append((request.full_url, timeout))
        return io.BytesIO(b"numbers")

    monkeypatch.setattr(zoo, "urlopen", answer)
    path = zoo.fetch("fbnetv3_b_imagenet")
    assert zoo.fetch("fbnetv3_b_imagenet") == path
    assert path.read_bytes() == b"numbers"
    assert asked == [(zoo.entries()["fbnetv3_b_imagenet"].address, 30)]
    assert {each.name for each in cache.iterdir()} == {
        "fbnetv3_b_imagenet.pth",
        "fbnetv3_b_imagenet.pth.sha256",
    }

    class Interrupted(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise TimeoutError("timed out")

    monkeypatch.setattr(zoo, "urlopen", lambda *_, **__: Interrupted())
    with pytest.raises(WeightsError, match="timed out"):
        zoo.fetch("fbnetv3_d_imagenet")
    assert {each.name for each in cache.iterdir()} == {
        "fbnetv3_b_imagenet.pth",
        "fbnetv3_b_imagenet.pth.sha256",
    }


def test_published_hashes_are_checked(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's file names end in the first digits of the hash."""
    for name, entry in zoo.entries().items():
        if entry.licence == "timm":
            assert entry.sha256 is not None
            assert entry.address.endswith(f"-{entry.sha256}.pth"), name
    digest = hashlib.sha256(b"numbers").hexdigest()
    entry = zoo.entries()["fbnetv3_b_timm"]
    monkeypatch.setattr(zoo, "urlopen", lambda *_, **__: io.BytesIO(b"numbers"))
    rule = f"is not what was published: its SHA-256 is {digest}, expected one that starts with ead5d2a1"
    with pytest.raises(
        WeightsError, match=rf"^https://.*_224-ead5d2a1.pth {rule}; the download was not kept"
    ):
        zoo.fetch("fbnetv3_b_timm")
    assert list(cache.iterdir()) == []
    path = cache / "fbnetv3_b_timm.pth"
    path.write_bytes(b"numbers")
    with pytest.raises(WeightsError, match=rf"{path} {rule}; delete it to download it again"):
        zoo.fetch("fbnetv3_b_timm")
    right = entry.replace(sha256=digest[:8])
    monkeypatch.setattr(zoo, "entries", lambda: {"fbnetv3_b_timm": right})
    assert zoo.fetch("fbnetv3_b_timm") == path


def test_an_unknown_name_shows_the_closest(cache: Path) -> None:
    with pytest.raises(
        WeightsError, match="called 'fbnetv3a_dsmask_coco': did you mean 'fbnetv3a_dsmask_c4_coco'"
    ):
        read_checkpoint("fbnetv3a_dsmask_coco")
    with pytest.raises(WeightsError, match=r"cannot read .*model.pth: No such file"):
        read_checkpoint(cache / "model.pth")
