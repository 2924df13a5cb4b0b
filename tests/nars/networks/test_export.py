from __future__ import annotations

import dataclasses
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

import search_spaces
from nars.data import square
from nars.errors import ExportError, SpecError, UsageError
from nars.networks import export as exports
from nars.networks.build import build
from nars.networks.contract import Contract, Deployed
from nars.networks.export import check, deviation, export
from nars.networks.weights import Weights
from nars.spec import Architecture, Block, Candidate, Recipe

SIDE = 16


def tiny() -> Architecture:
    stages = [
        [Block(op="conv", channels=4, kernel=3, stride=2)],
        [Block(op="mbconv", channels=4, kernel=3, expansion=2, se="hsigmoid")],
        [Block(op="mbpool", channels=8, expansion=2)],
    ]
    return Architecture(name="tiny", resolution=SIDE, stages=stages)


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Of a network none of whose layers is an identity, as fresh norms and zeroed branches are."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(tiny(), 3)
        state = {
            name: torch.rand_like(tensor) + 0.5 if tensor.dim() == 1 else torch.randn_like(tensor)
            for name, tensor in model.state_dict().items()
            if tensor.is_floating_point()
        }
    state = {**model.state_dict(), **state}
    candidate = Candidate(architecture=tiny(), recipe=Recipe(lr=0.25))
    return Weights(candidate, ("ant", "bee", "cat"), (0.1,) * 3, (0.2,) * 3, {"accuracy": 0.5}, state, "w.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def onnx_path(weights: Weights, folder: Path) -> Path:
    return export(weights, folder / "tiny.onnx", "onnx").path


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(count))


def normalized(images: torch.Tensor) -> torch.Tensor:
    """The images as the network sees them; the file takes them as they are."""
    return (images - 0.1) / 0.2


@pytest.mark.parametrize("count", [1, 2, 5])
def test_onnx_runtime_reproduces_the_network_for_any_batch(
    onnx_path: Path, weights: Weights, count: int
) -> None:
    session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images(count).numpy()})
    with torch.no_grad():
        expected = weights.network()(normalized(images(count))).numpy()
    # float32 sums in another order; logits are of size 1 to 100
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_onnx_file_says_what_it_is(onnx_path: Path, weights: Weights) -> None:
    model = onnx.load(onnx_path)
    onnx.checker.check_model(model)
    about = {prop.key: prop.value for prop in model.metadata_props}
    assert Architecture.from_yaml(about["architecture.yaml"]) == tiny()
    assert Recipe.from_yaml(about["recipe.yaml"]) == weights.candidate.recipe
    assert json.loads(about["classes.json"]) == ["ant", "bee", "cat"]
    outside, inside = {"mean": [0.0] * 3, "std": [1.0] * 3}, {"mean": [0.1] * 3, "std": [0.2] * 3}
    assert json.loads(about["normalisation.json"]) == {**outside, "inside": inside, "fit": "crop"}
    assert json.loads(about["contract.json"])["input"].endswith("RGB, in 0..1, not normalized")
    assert about["weights"] == "trained"
    (taken,), (given,) = model.graph.input, model.graph.output
    assert (taken.name, given.name) == ("images", "logits")
    assert [dim.dim_param or dim.dim_value for dim in taken.type.tensor_type.shape.dim] == [
        "batch",
        3,
        SIDE,
        SIDE,
    ]


def test_pt2_reloads_to_the_same_logits_with_its_description(weights: Weights, folder: Path) -> None:
    done = export(weights, folder / "tiny.pt2", "pt2")
    extra = dict.fromkeys(("classes.json", "architecture.yaml"), "")
    module = torch.export.load(io.BytesIO(done.path.read_bytes()), extra_files=extra).module()
    with torch.no_grad():
        torch.testing.assert_close(module(images(5)), weights.network()(normalized(images(5))))
    assert json.loads(extra["classes.json"]) == ["ant", "bee", "cat"]
    assert Architecture.from_yaml(extra["architecture.yaml"]) == tiny()
    assert (done.bytes, done.num_classes) == (done.path.stat().st_size, 3)
    assert json.loads(json.dumps(done.to_dict()))["deviation"] <= exports.TOLERANCE


def test_torchscript_reloads_to_the_same_logits(weights: Weights, folder: Path) -> None:
    done = export(weights, folder / "tiny.ts", "torchscript")
    extra = {"contract.json": ""}
    with warnings.catch_warnings(action="ignore"):
        module = torch.jit.load(str(done.path), _extra_files=extra)
    torch.testing.assert_close(module(images(5)), weights.network()(normalized(images(5))))
    assert json.loads(extra["contract.json"])["classes"] == ["ant", "bee", "cat"]
    assert "RGB in 0..1, normalization inside" in done.contract.line
    assert done.contract.line.endswith("logits [N, 3] of ant, bee, cat")


def test_the_contract_says_where_and_how_grey_the_bars_of_a_letterbox_are() -> None:
    contract = Contract(8, 3, (0.0,) * 3, (1.0,) * 3, "letterbox", (), is_trained=True)
    level, *picture, last = square(Image.new("RGB", (8, 4), "white"), 8, "letterbox")[
        0, [0, 2, 5, 7], 0
    ].tolist()
    assert (picture, last) == ([255, 255], level)
    assert f"in the middle of a square of grey level {level} of 255" in contract.line


def test_random_weights_are_said_in_the_file(folder: Path) -> None:
    done = export(tiny(), folder / "random.pt2", "pt2", num_classes=3)
    extra = {"weights": ""}
    torch.export.load(io.BytesIO(done.path.read_bytes()), extra_files=extra)
    assert extra["weights"].startswith("random")
    assert not done.contract.is_trained


@pytest.mark.parametrize("format", exports.FORMATS)
@pytest.mark.parametrize("side", [15, 16])
def test_same_padding_is_exported(folder: Path, format: str, side: int) -> None:
    stages = [
        [Block(op="conv", channels=4, kernel=3, stride=2, padding="same", bias=False, activation="relu6")],
        [Block(op="mbconv", channels=4, kernel=5, stride=2, expansion=2, padding="same")],
        [Block(op="conv", kernel=1, channels=8, bias=False)],
    ]
    same = Architecture(name="same", resolution=side, norm_eps=1e-3, stages=stages)
    done = export(same, folder / f"same.{format}", format, num_classes=3)  # runs the file and compares
    assert done.deviation <= exports.TOLERANCE


def test_a_fresh_network_at_another_resolution(folder: Path) -> None:
    done = export(tiny(), folder / "fresh.pt2", "pt2", resolution=24, num_classes=7)
    assert (done.resolution, done.num_classes) == (24, 7)
    module = torch.export.load(io.BytesIO(done.path.read_bytes())).module()
    assert module(torch.zeros(4, 3, 24, 24)).shape == (4, 7)


def test_a_file_that_deviates_is_refused(onnx_path: Path, weights: Weights) -> None:
    state = {name: tensor.clone() for name, tensor in weights.state.items()}
    state["head.classifier.bias"][0] += 0.01 * weights.network()(normalized(images(1))).abs().max()
    contract = Contract(SIDE, 3, weights.mean, weights.std, "crop", weights.classes, is_trained=True)
    other = Deployed(dataclasses.replace(weights, state=state).network(), contract)
    with pytest.raises(ExportError, match=r"deviates from the network by 0\.0\d+"):
        check("onnx", onnx_path.read_bytes(), other, [(images(1),)])


def test_a_failed_check_writes_nothing(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.pt2"
    path.write_text("the file before")
    monkeypatch.setitem(
        exports.RUNS, "pt2", lambda data, batches: [[torch.zeros(len(x), 3)] for (x,) in batches]
    )
    with pytest.raises(ExportError, match="deviates from the network by 1,"):
        export(weights, path, "pt2")
    assert [each.name for each in tmp_path.iterdir()] == ["tiny.pt2"]
    assert path.read_text() == "the file before"


def test_a_batch_size_baked_in_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(exports.RUNS, "pt2", lambda data, batches: [[torch.zeros(1, 3)] for _ in batches])
    with pytest.raises(ExportError, match=r"\[1, 3\] instead of \[3, 3\] on a batch of 3"):
        check("pt2", b"", lambda x: torch.zeros(len(x), 3), [(images(1),), (images(3),)])


def test_deviation_of_a_nan_is_no_pass() -> None:
    assert not deviation(torch.ones(2), torch.tensor([1.0, torch.nan])) <= exports.TOLERANCE


def test_without_onnx_the_extra_is_named(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install nars\[onnx\]"):
        export(weights, tmp_path / "tiny.onnx", "onnx")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"format": "onx"}, UsageError, "did you mean 'onnx'"),
        ({"num_classes": 5}, UsageError, "has 3 classes, 5 were asked for"),
    ],
)
def test_wrong_requests(
    weights: Weights, tmp_path: Path, options: dict[str, object], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        export(weights, tmp_path / "x", **{"format": "pt2", **options})


def test_too_few_pixels(tmp_path: Path) -> None:
    wide = Architecture(resolution=9, stages=[[Block(op="conv", channels=4, kernel=5, padding=0)]])
    with pytest.raises(SpecError, match="needs 5 pixels"):
        export(wide, tmp_path / "x.pt2", "pt2", resolution=4)


@pytest.mark.slow  # 40 s: the largest deviation over a network of 125 convolutions
@pytest.mark.parametrize("format", exports.FORMATS)
def test_a_published_network(tmp_path: Path, format: str) -> None:
    done = export(search_spaces.published("fbnetv3_a"), tmp_path / f"a.{format}", format)
    assert done.deviation < 1e-5  # ten times what float32 gave
