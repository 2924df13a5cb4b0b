"""Makes the embedded data set `clothing`: 600 photos of the clothing data set, 96 pixels high or wide.

    python -m experiments.clothing_subset ../shared/data/cls/clothing_photos nars/data/clothing

The photos are those of github.com/alexeygrigorev/clothing-dataset-small at 1196151, CC0 1.0 (public
domain). Each part keeps its official split and the share of its classes; a part and class are sampled
with a fixed seed. The shorter side is resized to 96 pixels and the aspect ratio is kept. Takes seconds;
prints images and bytes per part.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = {"train": 400, "val": 100, "test": 100}
"""Photos of each part."""

SIDE = 96
"""Shorter side in pixels."""

QUALITY = 82
"""JPEG quality: about 4 kB a photo."""


def main(source: Path, target: Path) -> None:
    """Write the subset of the photos in `source` (part/class/*.jpg) to `target`."""
    for part, size in PARTS.items():
        files = sorted((source / part).glob("*/*.jpg"))
        chosen = stratified(files, size, np.random.default_rng(0))
        written = [shrink(file, target / part / file.parent.name / f"{file.stem[:8]}.jpg") for file in chosen]
        print(f"{part}: {len(written)} photos, {sum(written) / 1e6:.2f} MB")


def stratified(files: list[Path], size: int, rng: np.random.Generator) -> list[Path]:
    """Exactly `size` of the files, with each folder's share of all of them as near as whole numbers allow."""
    by_class: dict[str, list[Path]] = {}
    for file in files:
        by_class.setdefault(file.parent.name, []).append(file)
    shares = {name: size * len(group) / len(files) for name, group in by_class.items()}
    counts = {name: int(share) for name, share in shares.items()}
    remainders = sorted(shares, key=lambda name: counts[name] - shares[name])
    for name in remainders[: size - sum(counts.values())]:
        counts[name] += 1
    chosen = [
        group[index]
        for name, group in by_class.items()
        for index in sorted(rng.permutation(len(group))[: counts[name]])
    ]
    return sorted(chosen)


def shrink(file: Path, target: Path) -> int:
    """Write a photo with its shorter side at `SIDE` pixels; return the number of bytes."""
    with Image.open(file) as photo:
        scale = SIDE / min(photo.size)
        size = tuple(round(scale * side) for side in photo.size)
        small = photo.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)
    target.parent.mkdir(parents=True, exist_ok=True)
    small.save(target, quality=QUALITY, optimize=True)
    return target.stat().st_size


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
