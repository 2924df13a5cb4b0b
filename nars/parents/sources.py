"""Parents by name: published networks, those of timm and torchvision, files of ours, run folders."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nars.errors import RunError, UsageError, WeightsError, closest
from nars.files import cache_folder
from nars.networks.build import build
from nars.networks.weights import Weights, check_state, load_weights
from nars.parents.imagenet import imagenet_classes
from nars.parents.importer import Facts, architecture_of
from nars.parents.lite import LITES, lite
from nars.parents.moving import moved
from nars.parents.parent import Parent
from nars.tensors import read_tensors

__all__ = [
    "TIMM",
    "TORCHVISION",
    "parent",
    "parent_in",
    "parent_names",
    "parent_of",
    "weights_of_run",
]

_RELU6, _SILU, _FBNETV3 = Facts("relu6"), Facts("silu"), Facts("hswish", "hsigmoid")

TIMM: Mapping[str, Facts] = {
    "efficientnet_lite0": _RELU6,
    "tf_efficientnet_lite0": _RELU6,
    "tf_efficientnet_lite1": _RELU6,
    "tf_efficientnet_lite2": _RELU6,
    "tf_efficientnet_lite3": _RELU6,
    "tf_efficientnet_lite4": _RELU6,
    "fbnetv3_b": _FBNETV3,
    "fbnetv3_d": _FBNETV3,
    "fbnetv3_g": _FBNETV3,
    "mobilenetv2_050": _RELU6,
    "mobilenetv2_100": _RELU6,
    "mobilenetv2_110d": _RELU6,
    "mobilenetv2_120d": _RELU6,
    "mobilenetv2_140": _RELU6,
    "efficientnet_b0": _SILU,
}
"""Networks of timm that can be parents."""

TORCHVISION: Mapping[str, Facts] = {"mobilenet_v2": _RELU6, "efficientnet_b0": _SILU}
"""Networks of torchvision that can be parents."""

_WEIGHTS = ("weights/best.pt", "weights/best.safetensors")
"""Files in a run folder that may hold the weights of its winner."""


def parent_names() -> list[str]:
    """Every name that `parent` knows, besides files and folders."""
    libraries = [f"timm:{name}" for name in TIMM] + [f"torchvision:{name}" for name in TORCHVISION]
    return ["none", *LITES, *libraries]


def parent(name: str) -> Parent | None:
    """The parent called `name`, None for ``none``.

    A name is ``efficientnet_lite0``, 1 or 2; ``timm:NAME`` or ``torchvision:NAME``, which those libraries
    download unless their file is in nars' cache; a ``.pt`` or ``.safetensors`` file of ours; or a run
    folder, for the weights of its winner. Raises `UsageError`, `WeightsError`, `RunError`.
    """
    path = Path(name)
    library, _, model = name.partition(":")
    if name == "none":
        return None
    if name in LITES:
        return lite(name)
    if library == "timm" and model in TIMM:
        return _timm(model)
    if library == "torchvision" and model in TORCHVISION:
        return _torchvision(model)
    if path.is_dir():
        return parent_in(weights_of_run(path))
    if path.suffix in (".pt", ".safetensors"):
        return parent_in(path)
    known = f"{closest(name, parent_names())} (or a .pt or .safetensors file, or a run folder)"
    raise UsageError(f"no parent is called {name!r}: {known}")


def parent_in(path: Path) -> Parent:
    """The classifier in a file of weights of ours. Raises `WeightsError`."""
    return parent_of(load_weights(path))


def parent_of(trained: Weights) -> Parent:
    """The classifier whose weights have been read. Raises `WeightsError` if they are not its network's."""
    with torch.device("meta"):
        network = build(trained.candidate.architecture, len(trained.classes))
    check_state(network.state_dict(), trained.state, trained.source)
    return Parent(
        architecture=trained.candidate.architecture,
        state=trained.state,
        classes=trained.classes,
        mean=trained.mean,
        std=trained.std,
        source=trained.source,
    )


def weights_of_run(folder: Path) -> Path:
    """The file in which a run folder keeps the weights of its winner. Raises `RunError`."""
    if not (folder / "config.yaml").exists():
        raise RunError(f"{folder} is no run folder: it has no config.yaml")
    for file in _WEIGHTS:
        if (folder / file).exists():
            return folder / file
    command = shlex.join(["nars", "train", str(folder / "best.yaml"), "-o", str(folder / _WEIGHTS[0])])
    raise RunError(f"{folder} keeps no weights of its winner; this makes them: {command}")


def _timm(model: str) -> Parent:
    """A network of timm, whose weights timm downloads."""
    try:
        timm: Any = import_module("timm")
    except ImportError:
        raise UsageError(f"timm:{model} needs timm: pip install 'nars[timm]'") from None

    def made(pretrained: bool) -> nn.Module:
        network: nn.Module = timm.create_model(model, pretrained=pretrained)
        return network

    with torch.random.fork_rng(devices=[]):
        network = made(False)
        settings: Any = network.pretrained_cfg
        state = _kept(f"timm:{model}")
        if state is None:
            try:
                state = made(True).state_dict()
            except Exception as error:  # a library's download can fail in any way
                raise _no_download(f"timm:{model}", str(settings["url"]), error) from None
    return _imported(
        network,
        TIMM[model],
        f"timm:{model}",
        state,
        resolution=settings["input_size"][1],
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
    )


def _torchvision(model: str) -> Parent:
    """A network of torchvision, whose weights torch's hub downloads."""
    from torchvision import models

    weights: Any = models.get_model_weights(model).DEFAULT
    pixels = weights.transforms()
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = models.get_model(model, weights=None)
    state = _kept(f"torchvision:{model}")
    if state is None:
        try:
            state = weights.get_state_dict(progress=False, check_hash=True)
        except Exception as error:  # a library's download can fail in any way
            raise _no_download(f"torchvision:{model}", weights.url, error) from None
    return _imported(
        network,
        TORCHVISION[model],
        f"torchvision:{model}",
        state,
        resolution=pixels.crop_size[0],
        mean=tuple(pixels.mean),
        std=tuple(pixels.std),
    )


def _imported(
    network: nn.Module,
    facts: Facts,
    source: str,
    state: Mapping[str, Tensor],
    *,
    resolution: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Parent:
    """The parent that computes what `network` would with the tensors of `state`."""
    architecture = architecture_of(network, facts, source.partition(":")[2], resolution)
    classes = imagenet_classes()
    return Parent(
        architecture=architecture,
        state=moved(architecture, len(classes), state, source),
        classes=classes,
        mean=mean,
        std=std,
        source=source,
    )


def _kept_file(source: str) -> Path:
    """The file in the cache that takes the place of a download."""
    return cache_folder() / "parents" / f"{source.replace(':', '-')}.pth"


def _kept(source: str) -> Mapping[str, Tensor] | None:
    """The tensors of a library's file that the user has put into the cache; None if there is none."""
    file = _kept_file(source)
    if not file.exists():
        file = file.with_suffix(".safetensors")
    if not file.exists():
        return None
    state = read_tensors(file)
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"{file}: not the tensors of a network by their names")
    return state


def _no_download(source: str, url: str, error: Exception) -> UsageError:
    """The error of a machine without a network, with the remedy."""
    reason, _, _ = str(error).partition("\n")
    remedy = f"put {url} at {_kept_file(source)}"
    return UsageError(f"{source} cannot be downloaded ({reason or type(error).__name__}): {remedy}")
