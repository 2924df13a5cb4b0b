"""The argument of a command that names a file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["WeightsFile", "weights_argument"]

_BEST = ("weights/best.pt", "weights/best.safetensors")
"""Files in the folder of a search or of a training that hold its best weights."""


class WeightsFile(click.Path):
    """A file that exists; a folder is answered with the file of weights in it."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        folder = Path(value)
        if folder.is_dir():
            best = next((folder / file for file in _BEST if (folder / file).exists()), None)
            meant = "give a .pt or .safetensors file" if best is None else f"did you mean {best}?"
            self.fail(f"{value} is a folder: {meant}", param, ctx)
        return super().convert(value, param, ctx)


weights_argument = click.argument("weights", type=WeightsFile())
