"""The commands that a search prints as its next steps: whole and quoted, for the folder it was started in."""

from __future__ import annotations

import shlex
from pathlib import Path

from nars.foreign.paths import allowed
from nars.runs.config import SearchConfig

__all__ = ["command", "next_steps"]

_OWN_METRICS = ("accuracy", "ap")
"""Scores that a training takes if it is not told another one."""


def command(*words: str | Path) -> str:
    """A command with its words quoted as a shell needs them."""
    return shlex.join(map(str, words))


def next_steps(
    config: SearchConfig, run: Path, best: Path, parent: str | Path, storage: str | None = None
) -> tuple[str, str]:
    """Two commands for the winner in the file `best` of a run: export it, and train it in full.

    Its candidates inherited from `parent`. `storage` is that of the run, without a password, if it is outside
    of the run folder.
    """
    is_detector = config.task == "detection"
    train: list[str | Path] = ["nars", *(["detect"] if is_detector else []), "train", best]
    train.extend(["--data", config.data])
    if config.drop_bad:
        train.append("--drop-bad")
    for folder in allowed():
        train.extend(["--also-from", folder])
    if config.init != "none":
        train.extend(["--init", parent])
    if config.metric not in _OWN_METRICS:
        train.extend(["--metric", config.metric])
    train.extend(["-o", "detector" if is_detector else "trained"])
    stored = () if storage is None else ("--storage", storage)
    return command("nars", "export", "best-arch", "--run", run, *stored), command(*train)
