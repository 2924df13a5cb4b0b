"""Parents by name: published networks, those of timm and torchvision, files of ours, run folders."""

from __future__ import annotations

import shlex
from pathlib import Path

import torch

from nars.errors import RunError, UsageError, closest
from nars.networks.build import build
from nars.networks.weights import Weights, check_state, load_weights
from nars.parents.parent import Parent
from nars.parents.published.libraries import TIMM, TORCHVISION, of_timm, of_torchvision
from nars.parents.published.lite import LITES, lite

__all__ = ["parent", "parent_in", "parent_names", "parent_of", "weights_of_run"]

_WEIGHTS = ("weights/best.pt", "weights/best.safetensors")
"""Files in a run folder that may hold the weights of its winner."""

_REFERENCE = "weights/reference.pt"
"""The file in a run folder that its winner inherited from, if there is one."""


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
    if name == "auto":
        why = "only searches and `nars train` take auto, by their images"
        raise UsageError(f"{why}: name a parent, such as efficientnet_lite0")
    if name in LITES:
        return lite(name)
    if library == "timm" and model in TIMM:
        return of_timm(model)
    if library == "torchvision" and model in TORCHVISION:
        return of_torchvision(model)
    if path.is_dir():
        return parent_in(weights_of_run(path))
    if path.suffix.lower() in (".pt", ".safetensors"):
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
    command = ["nars", "train", str(folder / "best.yaml"), "-o", str(folder / _WEIGHTS[0])]
    if (reference := folder / _REFERENCE).exists():
        command += ["--init", str(reference)]
    raise RunError(f"{folder} keeps no weights of its winner; this makes them: {shlex.join(command)}")
