"""The photos, split again: stratified, by a seed, as a table that `nars.data.load` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nars.foreign.paths import allow

__all__ = ["resplit"]

_SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""The split of every class."""


def resplit(root: Path, seed: int, work: Path) -> Path:
    """The table of all photos below `root` (``{train,val,test}/CLASS/*``) with the splits of a seed.

    This process and those that it starts may then read the photos, which are elsewhere than the table.
    """
    allow([root])
    file = work / f"resplit{seed}.csv"
    if file.exists():
        return file
    photos = sorted(path for path in root.resolve().glob("*/*/*") if path.is_file())
    table = pd.DataFrame({"path": map(str, photos), "label": [path.parent.name for path in photos]})
    rng = np.random.default_rng(seed)
    table["split"] = ""
    for _, rows in table.groupby("label"):
        order = rng.permutation(rows.index)
        ends = np.cumsum([round(share * len(order)) for share in _SHARES.values()])
        for name, part in zip(_SHARES, np.split(order, ends[:-1]), strict=True):
            table.loc[part, "split"] = name
    work.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False)
    return file
