"""A run folder: everything that one search leaves behind.

    config.yaml      the search; `nars search` with the same settings goes on from here
    study.journal    Optuna's journal (or the storage that ``storage.txt`` names)
    best.yaml        the winner, `pareto.csv` the front, `trials.csv` every trial
    report.html      pictures; log.txt the log

Files are written whole or not at all.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study

from nars.errors import RunError, SpecError, UsageError
from nars.files import write_whole
from nars.searching.config import SearchConfig
from nars.searching.storage import open_storage
from nars.trials import config_text, write_config_text

__all__ = ["RUNS", "Run", "config_of", "default_folder", "latest", "open_run", "start_run"]

RUNS = Path("runs")
"""Where runs without ``--run`` go."""

STORAGE = "storage.txt"
"""Names the run's storage; written first, so that a run with a `config.yaml` has it."""


@dataclass(frozen=True)
class Run:
    folder: Path
    config: SearchConfig
    storage: str
    """A path of a journal file, or an Optuna URL."""
    name: str
    """Of the study in its storage: the folder's when it was made."""

    def study(self) -> Study:
        """The study, opened without a sampler; it is made if it is not there yet.

        Raises `RunError` where the storage has another study of that name.
        """
        study = optuna.create_study(
            storage=open_storage(self.storage),
            study_name=self.name,
            directions=self.config.directions,
            sampler=optuna.samplers.RandomSampler(),
            load_if_exists=True,
        )
        config = self.config.to_yaml()
        if config_text(study) is not None:
            self.config.check_continues(config_of(study), f"study {self.name} in {self.storage}")
        elif study.get_trials(deepcopy=False):
            raise RunError(f"study {self.name} in {self.storage} was not made by `nars search`")
        if config_text(study) != config:  # new, or the budget has grown
            write_config_text(study, config)
            with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
                study.set_metric_names(list(self.config.objectives))  # for optuna-dashboard
        return study

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among the processes of this machine that work on this folder."""
        with FileLock(self.folder / ".lock"):
            yield


def default_folder(config: SearchConfig) -> Path:
    """Where a search without ``--run`` goes: equal for commands that continue each other."""
    return RUNS / f"{config.space.name}-{Path(config.data).stem}-{config.identity}"


def start_run(folder: Path, config: SearchConfig, storage: str | None) -> Run:
    """Make a run folder, or go on with the one that is there.

    Raises `RunError` where the folder holds another search, an older schema or other files.
    """
    file, name = folder / "config.yaml", folder.resolve().name
    if file.exists():
        run = open_run(folder)
        config.check_continues(run.config, str(folder))
        if storage is not None and storage != run.storage:
            raise RunError(f"{folder} is stored in {run.storage}, not in {storage}")
        storage, name = run.storage, run.name
    elif folder.exists() and any(map(_is_strange, folder.iterdir())):
        raise RunError(f"{folder} is not empty and holds no search")
    storage = storage or str(folder / "study.journal")
    write_whole(folder / STORAGE, f"{storage}\n{name}\n")
    write_whole(file, config.to_yaml())
    return Run(folder, config, storage, name)


def _is_strange(file: Path) -> bool:
    """Not of those that a kill can leave before the search is written down."""
    return file.name != STORAGE and not file.name.startswith(".")


def open_run(folder: Path) -> Run:
    """Read a run folder. Raises `RunError`."""
    file = folder / "config.yaml"
    if not file.exists():
        raise RunError(f"{folder} is no run folder: it has no config.yaml")
    try:
        config = SearchConfig.load(file)
    except SpecError as error:
        raise RunError(f"not a search that this version can go on with: {error}") from None
    stored = folder / STORAGE
    lines = stored.read_text(encoding="utf-8").splitlines() if stored.exists() else []
    storage = lines[0] if lines else ""
    name = lines[1] if len(lines) > 1 else ""
    journal = folder / "study.journal"
    # A folder that was moved keeps its own journal.
    storage = str(journal) if journal.exists() or not storage else storage
    return Run(folder, config, storage, name or folder.resolve().name)


def latest() -> Run:
    """The run that was started or continued last below ``runs/``. Raises `UsageError`."""
    configs = sorted(RUNS.glob("*/config.yaml"), key=lambda file: file.stat().st_mtime)
    if not configs:
        raise UsageError(f"no run in {RUNS}/: give --run DIR, or start one with `nars search`")
    return open_run(configs[-1].parent)


def config_of(study: Study) -> SearchConfig:
    """The search that a study was made for. Raises `RunError` where nars did not make it."""
    text = config_text(study)
    if text is None:
        raise RunError(f"study {study.study_name!r} was not made by `nars search`")
    return SearchConfig.from_yaml(text, f"study {study.study_name}")
