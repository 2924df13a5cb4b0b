from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import golden
import pytest
import torch
from torch import nn

import nars
from nars.errors import DataError, SpecError, UsageError
from nars.networks.blocks import MBConv
from nars.networks.build import Features, smallest_side
from nars.networks.norms import Norm
from nars.space.cost import count
from nars.spec import Architecture, Block, Recipe
from search_spaces import published

GOLDEN = golden.load("classifiers.json")
NETWORKS = {name: each for name, each in GOLDEN["networks"].items() if "logits" in each}

STEM = {"op": "conv", "channels": 8, "kernel": 3, "stride": 2}
TRUNK = [
    [STEM, {"op": "mbconv", "channels": 8, "kernel": 3, "expansion": 1, "repeats": 2}],
    [
        {
            "op": "mbconv",
            "channels": 16,
            "kernel": 5,
            "expansion": 2,
            "stride": 2,
            "repeats": 2,
            "se": "hsigmoid",
        }
    ],
]
SMALL = Architecture(
    name="small", resolution=32, stages=[*TRUNK, [{"op": "mbpool", "channels": 40, "expansion": 2}]]
)
NO_POOL = Architecture(name="no_pool", resolution=32, stages=TRUNK)
SAME = Architecture(
    name="same",
    resolution=32,
    norm_eps=1e-3,
    norm_momentum=0.01,
    stages=[
        [STEM | {"padding": "same", "bias": False, "activation": "relu6"}],
        [{"op": "mbconv", "channels": 16, "kernel": 5, "expansion": 2, "stride": 2, "padding": "same"}],
        [{"op": "conv", "channels": 40, "kernel": 1, "bias": False}],
    ],
)


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def residuals(network: nn.Module) -> list[MBConv]:
    return [module for module in network.modules() if isinstance(module, MBConv) and module.residual]


@pytest.mark.parametrize("name", NETWORKS)
def test_published_network(name: str) -> None:
    expected, architecture = NETWORKS[name], published(name)
    network = nars.build(architecture, 1000).double()
    assert len(network.state_dict()) == expected["entries"]
    assert golden.shapes_hash(network) == expected["shapes"]

    golden.fill(network, GOLDEN["gain"])
    outputs: list[torch.Tensor] = []
    for block in (block for stage in network.stages for block in stage):
        block.register_forward_hook(lambda _module, _inputs, out: outputs.append(out))
    with torch.no_grad():
        logits = network(golden.make_input(2, 3, architecture.resolution, architecture.resolution))

    for out, (shape, mean, std) in zip(outputs, expected["blocks"], strict=True):
        assert list(out.shape) == shape
        # the numbers are recorded with 9 digits
        assert golden.deviation(torch.stack([out.mean(), out.std(correction=0)]), [mean, std]) < 1e-8
    for row, image in zip(logits, expected["logits"], strict=True):
        assert golden.deviation(row[:16], image["first16"]) < 1e-8
        assert golden.deviation(row.norm(), [image["l2"]]) < 1e-8
        assert golden.deviation(row.sum(), [image["sum"]]) < 1e-7  # of terms that nearly cancel
        assert row.argmax() == image["argmax"]


def test_float32_and_channels_last_give_the_published_output() -> None:
    expected = NETWORKS["fbnetv3_a0"]
    network = golden.fill(nars.build(published("fbnetv3_a0"), 1000), GOLDEN["gain"])
    network.to(memory_format=torch.channels_last)
    x = golden.make_input(2, 3, 224, 224).float().to(memory_format=torch.channels_last)
    with torch.no_grad():
        assert network.stages(x).is_contiguous(memory_format=torch.channels_last)
        logits = network(x)
    for row, image in zip(logits, expected["logits"], strict=True):
        assert golden.deviation(row[:16], image["first16"]) < 5e-6  # float32 of the published code: 4e-7


@pytest.mark.parametrize("name", ["fbnetv3_a0", "fbnetv3_a"])
def test_features_are_the_stages_of_the_classifier(name: str) -> None:
    architecture, expected = published(name), NETWORKS[name]
    with torch.device("meta"):
        backbone = nars.features(architecture).eval()
        maps = backbone(torch.empty(2, 3, architecture.resolution, architecture.resolution))
        classifier = nars.build(architecture, 10)
    ends = expected["last_block_of_stage"][:-1]  # without mbpool
    assert [list(each.shape) for each in maps] == [expected["blocks"][end][0] for end in ends]
    assert backbone.out_channels == [each.shape[1] for each in maps]
    assert backbone.strides == [2, 2, 4, 8, 16, 32]
    shared = classifier.state_dict().keys() & backbone.state_dict().keys()
    assert shared == backbone.state_dict().keys()


@pytest.mark.parametrize("norm", ["bn", "gn", "naive_sync_bn", "frozen_bn"])
@pytest.mark.parametrize("architecture", [SMALL, NO_POOL, SAME], ids=lambda each: each.name)
def test_trains_from_scratch(architecture: Architecture, norm: Norm) -> None:
    torch.manual_seed(0)
    recipe = Recipe(dropout=0.2, stochastic_depth=0.2)
    network = nars.build(architecture, 5, recipe, norm).to(memory_format=torch.channels_last)
    logits = network(images(4, 3, 32, 32))
    assert logits.shape == (4, 5)
    logits.square().sum().backward()
    missing = [name for name, each in network.named_parameters() if each.grad is None]
    assert not missing


def test_fresh_weights() -> None:
    torch.manual_seed(0)
    network = nars.build(published("fbnetv3_a0"), 1000)
    classifier = network.head.classifier
    assert classifier.weight.std().item() == pytest.approx(0.01, rel=0.01)  # of 2 million draws
    assert not classifier.bias.any()
    assert len(residuals(network)) == 13
    for block in residuals(network):
        assert not block.layers.project[1].weight.any()
        assert (block.layers.depthwise[1].weight == 1).all()
    conv = network.stages[5][0].layers.project[0]  # 1x1 to 176 channels
    assert conv.weight.std().item() == pytest.approx((2 / 176) ** 0.5, rel=0.02)
    for block in residuals(nars.features(SMALL)):
        assert (block.layers.project[1].weight == 1).all(), "detector parts start with a live branch"


def test_frozen_residual_branches_stay_alive() -> None:
    for block in residuals(nars.build(SMALL, 5, norm="frozen_bn")):
        assert (block.layers.project[1].weight == 1).all()


def test_stochastic_depth_grows_linearly_over_residual_blocks() -> None:
    network = nars.build(SMALL, 5, Recipe(stochastic_depth=0.3, dropout=0.25))
    assert [block.drop.p for block in residuals(network)] == pytest.approx([0.1, 0.2, 0.3])
    assert network.head.dropout.p == 0.25
    without = nars.build(SMALL, 5)
    assert {block.drop.p for block in residuals(without)} == {0.0}
    assert without.head.dropout.p == 0.0


def test_part_of_a_network() -> None:
    rows = published("fbnetv3_a").stages
    trunk, head = Features(rows[:5]), Features(rows[5:6], in_channels=120)
    assert (trunk.out_channels[-1], trunk.strides[-1]) == (120, 16)
    assert (head.out_channels, head.strides) == ([224], [2])
    up = Features([[Block(op="mbconv", channels=8, kernel=3, expansion=2, stride=-2)]], in_channels=16)
    assert up.strides == [0.5]
    assert up(images(1, 16, 5, 7))[0].shape == (1, 8, 10, 14)


def test_smallest_side_is_exact() -> None:
    """One pixel less fails inside a convolution; A has rows with padding below kernel // 2."""
    stages = published("fbnetv3_a").stages
    least = smallest_side(stages)
    assert least == 49
    with torch.device("meta"):
        network = nars.build(published("fbnetv3_a"), 10).eval()
        assert network(torch.empty(1, 3, least, least)).shape == (1, 10)
        with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
            network.stages(torch.empty(1, 3, least - 1, least - 1))
    assert smallest_side(NO_POOL.stages) == 1


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 48, 64), "49 pixels or more per side, got 48x64"),
        ((1, 1, 64, 64), r"images \[N, 3, H, W\], got \[1, 1, 64, 64\]"),
        ((3, 64, 64), r"images \[N, 3, H, W\], got \[3, 64, 64\]"),
    ],
)
@pytest.mark.parametrize("make", [nars.features, lambda each: nars.build(each, 10)])
def test_unfit_images_are_refused(make: object, shape: tuple[int, ...], message: str) -> None:
    with torch.device("meta"):
        network = make(published("fbnetv3_a"))  # type: ignore[operator]
        with pytest.raises(DataError, match=message):
            network(torch.empty(shape))


def test_unfit_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="1 class or more, got 0"):
        nars.build(SMALL, 0)
    with pytest.raises(UsageError, match="did you mean 'bn'"):
        nars.build(SMALL, 5, norm="bnn")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="fbnetv3_a has resolution 48, its stages need 49"):
        nars.build(published("fbnetv3_a").replace(resolution=48), 5)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")
@pytest.mark.parametrize("norm", ["bn", "gn", "naive_sync_bn", "frozen_bn"])
@pytest.mark.parametrize(
    "make", [lambda norm: nars.build(SMALL, 5, norm=norm), lambda norm: nars.features(SMALL, norm)]
)
def test_scripts(make: object, norm: Norm) -> None:
    network = make(norm).eval()  # type: ignore[operator]
    x = images(2, 3, 32, 32)
    scripted = torch.jit.script(network)
    with torch.no_grad():
        for found, expected in zip(scripted(x), network(x), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)  # fused kernels may round anew
    assert scripted.train()(x)[0].requires_grad == any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("architecture", [SMALL, NO_POOL, SAME], ids=lambda each: each.name)
def test_exports_with_free_batch_and_size(architecture: Architecture) -> None:
    network = nars.build(architecture, 5).eval()
    batch = torch.export.Dim("batch", max=512)
    height, width = (torch.export.Dim(name, min=16, max=512) for name in ("height", "width"))
    exported = torch.export.export(
        network, (images(2, 3, 32, 32),), dynamic_shapes=({0: batch, 2: height, 3: width},)
    ).module()
    x = images(3, 3, 48, 40)
    torch.testing.assert_close(exported(x), network(x), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_onnx_gives_the_same_logits(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = golden.fill(nars.build(SMALL, 5), GOLDEN["gain"])
    program = torch.onnx.export(
        network, (images(2, 3, 32, 32),), dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False
    )
    program.save(tmp_path / "small.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx")
    x = images(5, 3, 32, 32)
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert golden.deviation(torch.from_numpy(found), network(x).tolist()) < 1e-5


def test_same_padding_and_norms_reach_every_layer() -> None:
    network = nars.build(SAME, 5)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}
    assert network.stages[0][0][0].bias is None
    cost = count(SAME, num_classes=5)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    for side in (1, 2, 31, 32):
        maps = nars.features(SAME).eval()(images(1, 3, side, side))
        sides = [-(-side // 2), -(-side // 4)]
        assert [list(each.shape[2:]) for each in maps] == [[each] * 2 for each in sides]  # no head
    assert smallest_side(SAME.stages) == 1


def test_same_padding_scripts() -> None:
    network = nars.build(SAME, 5).eval()
    with warnings.catch_warnings(action="ignore"):
        scripted = torch.jit.script(network)
    for side in (31, 32):
        torch.testing.assert_close(scripted(images(2, 3, side, side)), network(images(2, 3, side, side)))


def test_entry_points_are_lazy() -> None:
    script = "import sys, nars; assert 'torch' not in sys.modules; assert {*nars.__all__} <= {*dir(nars)}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert all(hasattr(nars, name) for name in nars.__all__)
    with pytest.raises(AttributeError, match="'nars' has no attribute 'buildd'"):
        nars.buildd  # noqa: B018


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_a_gpu_gives_the_published_output(dtype: torch.dtype, bound: float) -> None:
    expected = NETWORKS["fbnetv3_a0"]
    network = golden.fill(nars.build(published("fbnetv3_a0"), 1000).double(), GOLDEN["gain"])
    side = published("fbnetv3_a0").resolution
    network = network.to("cuda", dtype, memory_format=torch.channels_last)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        logits = network(golden.make_input(2, 3, side, side).to("cuda", dtype)).cpu()
    for row, image in zip(logits, expected["logits"], strict=True):
        assert golden.deviation(row[:16], image["first16"]) < bound
