"""Parents of timm and torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nars.errors import UsageError
from nars.parents.parent import Parent
from nars.parents.published.downloads import Download
from nars.parents.published.imagenet import imagenet_classes
from nars.parents.published.importer import Facts, architecture_of
from nars.parents.published.moving import moved

__all__ = ["TIMM", "TORCHVISION", "of_timm", "of_torchvision"]

_HUB_FILE = "model.safetensors"
"""File of weights in the repositories from which timm downloads."""

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


def of_timm(model: str) -> Parent:
    """The network `model` of `TIMM`, whose weights timm downloads. Raises `UsageError`, `WeightsError`."""
    try:
        timm: Any = import_module("timm")
        hub: Any = import_module("huggingface_hub")
    except ImportError:
        raise UsageError(f"timm:{model} needs timm: pip install 'nars[timm]'") from None

    def made(pretrained: bool) -> nn.Module:
        network: nn.Module = timm.create_model(model, pretrained=pretrained)
        return network

    with torch.random.fork_rng(devices=[]):
        network = made(False)
        settings: Any = network.pretrained_cfg
        repository = settings["hf_hub_id"]
        download = Download(
            f"timm:{model}", str(settings["url"]), asked=hub.hf_hub_url(repository, _HUB_FILE)
        )
        cached = hub.try_to_load_from_cache(repository, _HUB_FILE)  # no path if it is known to be missing
        state = download.state(
            lambda: made(True).state_dict(), Path(cached) if isinstance(cached, str) else None
        )
    return _imported(
        network,
        TIMM[model],
        f"timm:{model}",
        state,
        resolution=settings["input_size"][1],
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
    )


def of_torchvision(model: str) -> Parent:
    """The network `model` of `TORCHVISION`, whose weights torch's hub downloads.

    Raises `UsageError`, `WeightsError`.
    """
    from torchvision import models

    weights: Any = models.get_model_weights(model).DEFAULT
    pixels = weights.transforms()
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = models.get_model(model, weights=None)
    download = Download(f"torchvision:{model}", weights.url, asked=weights.url)
    return _imported(
        network,
        TORCHVISION[model],
        f"torchvision:{model}",
        download.state(lambda: weights.get_state_dict(progress=False, check_hash=True)),
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
    places = {key: place for place, key in enumerate(network.state_dict())}  # safetensors keeps no order
    ordered = dict(sorted(state.items(), key=lambda item: places.get(item[0], len(places))))
    return Parent(
        architecture=architecture,
        state=moved(architecture, len(classes), ordered, source),
        classes=classes,
        mean=mean,
        std=std,
        source=source,
    )
