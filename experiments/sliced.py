"""The photos, the fine-tuned parent and its sliced candidates that the experiments on inheritance share.

The data are those of `--data`, shrunk to 96 pixels; the parent is EfficientNet-Lite0, fine-tuned on them
for five epochs (five minutes on one core). Both are kept in the folder of `--work`.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nars.cli import main as nars
from nars.data import ImageData, load
from nars.data.augment import resize
from nars.errors import RunError
from nars.parents.parent import Parent
from nars.parents.sources import parent
from nars.parents.space import space_of
from nars.parents.start import as_seen_by
from nars.space import Space
from nars.space.genotypes import Matrix, sample
from nars.spec import Candidate, Recipe
from search_spaces.catalogue import published

__all__ = ["CPU", "SHORT", "arguments", "drawn", "opened", "space"]

CPU = torch.device("cpu")
"""The device of the experiments on inheritance."""

SIDE = 96
"""Side in pixels of the photos and of the parent."""

FINE_TUNING = Recipe(
    lr=0.05, epochs=5, batch_size=32, ema=True, label_smoothing=0.1, augmentation="flip_shift"
)
"""The recipe of the parent."""

SHORT = Recipe(
    lr=0.03, epochs=2, batch_size=32, warmup_epochs=0.2, label_smoothing=0.1, augmentation="flip_shift"
)
"""The recipe of every candidate."""


def arguments(title: str) -> argparse.ArgumentParser:
    """The options that the experiments share."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--data", default="../shared/data/cls/clothing_photos", help="folder of photos")
    parser.add_argument("--work", type=Path, default=Path("runs/sliced"), help="folder of what is kept")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    return parser


@cache
def opened(source: str, work: Path) -> tuple[Parent, ImageData]:
    """The fine-tuned parent and the photos, normalized as it sees them; what is not kept is made."""
    photos = _photos(source, work)
    weights = work / "parent.pt"
    if not weights.exists():
        architecture = published("efficientnet_lite0").replace(name="lite0_96", resolution=SIDE)
        candidate = work / "parent.yaml"
        candidate.write_text(Candidate(architecture=architecture, recipe=FINE_TUNING).to_yaml())
        start = ["--init", "efficientnet_lite0", "--data", str(photos), "-o", str(weights)]
        if nars(["train", str(candidate), *start]):
            raise RunError("the parent could not be trained")
    found = parent(str(weights))
    assert found is not None
    return found, as_seen_by(found, load(photos))


def _photos(source: str, work: Path) -> Path:
    """The file of the photos with `SIDE` pixels."""
    file = work / "photos.npz"
    if not file.exists():
        work.mkdir(parents=True, exist_ok=True)
        data = load(source)
        arrays: dict[str, Any] = {"classes": np.array(data.classes)}
        for name in ("train", "val", "test"):
            part = data.split(name)
            groups = torch.arange(len(part)).split(256)
            batches = [resize(images, SIDE) for images, _ in part.batches(data.size.side, CPU, groups)]
            arrays[f"x_{name}"] = torch.cat(batches).permute(0, 2, 3, 1).numpy()
            arrays[f"y_{name}"] = part.labels.numpy()
        np.savez(file, **arrays)
    return file


@cache
def space() -> Space:
    """The space of the parent, with one recipe and the ten classes of the photos."""
    architecture = published("efficientnet_lite0").replace(name="lite0_96", resolution=SIDE)
    return space_of(architecture).replace(recipe={}, lr_factor={}, num_classes=10)


def drawn(count: int, low: float, high: float, seed: int) -> Matrix:
    """The first `count` random architectures of the space that have `low` to `high` MACs, as genotypes."""
    matrix = sample(space(), 20_000, np.random.default_rng(seed), quasi=False)
    macs = space().statistics(matrix)["macs"]
    return matrix[(macs >= low) & (macs <= high)][:count]
