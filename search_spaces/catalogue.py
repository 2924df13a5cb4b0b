"""The published networks by name, and the figures that were published with them.

Source: "FBNetV3: Joint Architecture-Recipe Search using Predictor Pretraining" (CVPR 2021,
arXiv 2006.02049) and its released definitions (facebookresearch/mobile-vision at bb8465c); EfficientNet-Lite
as released with TensorFlow (tensorflow/tpu, models/official/efficientnet/lite).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nars.documents import Frozen, read_yaml
from nars.errors import UsageError, closest
from nars.spec import Architecture

__all__ = ["Figures", "figures", "names", "published"]

_FOLDER = Path(__file__).parent / "published"
_FIGURES = _FOLDER / "figures.yaml"


class Figures(Frozen):
    """The figures that the authors published for one network, on ImageNet."""

    top_1: float
    """Accuracy in percent."""
    top_5: float | None = None
    """Accuracy in percent; None if it was not published, as every figure below."""
    params_m: float | None = None
    """Millions of convolution weights; biases and norms are not counted."""
    flops_m: float | None = None
    """Millions of convolution MACs, plus one per input element of every adaptive average pool."""
    resize: int | None = None
    """Side in pixels to which images are resized before they are cropped to the network's resolution."""


@cache
def names() -> tuple[str, ...]:
    """All published networks, family by family, the smallest first."""
    stems = [path.stem for path in _FOLDER.glob("*.yaml") if path != _FIGURES]
    return tuple(sorted(stems, key=lambda name: name.removesuffix("a0")))  # fbnetv3_a0 is before a


@cache
def published(name: str) -> Architecture:
    """A published network by name. Raises `UsageError` with the closest name."""
    _check(name)
    return Architecture.load(_FOLDER / f"{name}.yaml")


def figures(name: str) -> Figures | None:
    """The published figures of a network, None if there are none. Raises `UsageError` like `published`."""
    _check(name)
    return _all_figures().get(name)


@cache
def _all_figures() -> dict[str, Figures]:
    networks = read_yaml(_FIGURES, "figures")["networks"]
    return {name: Figures.of(fields) for name, fields in networks.items()}


def _check(name: str) -> None:
    if name not in names():
        raise UsageError(f"no published network is called {name!r}: {closest(name, names())}")
