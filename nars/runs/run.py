"""A run folder: everything that one search leaves behind.

    config.yaml      the search; `nars search` with the same settings continues from here
    study.journal    Optuna's journal (or the storage that ``storage.txt`` names)
    best.yaml        the winner
    weights          trained weights of the winner and of the front
    artifacts        what a search keeps of its trainings, unless ``--artifacts`` names another store
    pareto.csv       the front
    trials.csv       every trial
    report.html      pictures and tables
    log.txt          the log

Files are written whole or not at all.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study

from nars.errors import RunError, SpecError, UsageError
from nars.files import check_room, write_whole
from nars.foreign.paths import one_part
from nars.runs.config import SearchConfig
from nars.runs.journal import read_journal
from nars.runs.location import NOTE, absolute, check_exists, is_within, located, note, noted
from nars.runs.passwords import complete, is_given, without_password
from nars.runs.reading import check_complete, listed_trials, open_to_read
from nars.runs.storage import open_storage
from nars.studies import config_text, data_description, write_config_text, write_data_description
from nars.trials import check

__all__ = ["RUNS", "Run", "config_of", "default_folder", "latest", "open_run", "start_run"]

RUNS = Path("runs")
"""Parent of the run folders of searches without ``--run``."""

_LONGEST = 400
"""Characters of the address of a storage in a message, which has it twice."""


@dataclass(frozen=True)
class Run:
    """A search, its folder and its storage."""

    folder: Path
    config: SearchConfig
    storage: str
    """Path of a journal file, or an Optuna URL."""
    name: str
    """Name of the study in its storage, which is the name that the folder had when it was made."""
    starts: bool = field(default=False, compare=False)
    """Whether its study is created if there is none yet; a run that is only read never does that."""
    is_given: bool = field(default=True, compare=False)
    """Whether the storage is one that the user named, now or by being the folder's own."""

    def study(self) -> Study:
        """Open the study, without a sampler of the search; a run that starts creates it.

        Raises `RunError` if the storage has another search's study of that name, and for a run that is
        only read also if there is no study.
        """
        if not self.starts:
            return self.read()
        storage = Path(self.permitted())
        if storage.suffix == ".journal" and storage.exists():
            for _ in read_journal(storage):
                pass  # a damaged one is refused before it is written to
        listed = listed_trials(self.folder)
        study = optuna.create_study(
            storage=open_storage(complete(self.permitted())),
            study_name=self.name,
            directions=self.config.directions,
            sampler=optuna.samplers.RandomSampler(),
            load_if_exists=True,
        )
        config = self.config.to_yaml()
        self._check_is_own(study)
        self._check_trials(study)
        check_complete(self.folder, study, listed)
        write_whole(self.folder / "config.yaml", config)  # only now: a refused command raises no budget
        if config_text(study) != config:  # new, or the budget has grown
            write_config_text(study, config)
            if self.config.description and data_description(study) is None:
                write_data_description(study, self.config.description)
            with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
                study.set_metric_names(list(self.config.objectives))  # for optuna-dashboard
        return study

    def read(self) -> Study:
        """Open the study as it is, to read it only, from a disk or a server.

        Raises `RunError` if it is damaged, has no such study, or is that of another search.
        """
        where = self.permitted()
        check_exists(where, str(self.folder))
        listed = listed_trials(self.folder)
        storage = open_to_read(complete(where))
        try:
            study = optuna.load_study(
                study_name=self.name, storage=storage, sampler=optuna.samplers.RandomSampler()
            )
        except KeyError:
            raise RunError(f"{self.folder}: {self.storage} has no study {self.name!r}") from None
        self._check_is_own(study)
        self._check_trials(study)
        check_complete(self.folder, study, listed)
        return study

    @property
    def is_within(self) -> bool:
        """Whether the storage is in the folder, so that commands which are given the folder find it."""
        return is_within(self.storage, self.folder)

    def permitted(self) -> str:
        """Return the storage. Raises `RunError` if only the folder, which may be a stranger's, names it."""
        if self.is_given or is_given(self.storage) or self.is_within:
            return self.storage
        shown = _cut(self.storage)
        raise RunError(
            f"{self.folder} is stored in {shown}: repeat --storage {shown}, or set NARS_STORAGE to it"
        )

    def _check_is_own(self, study: Study) -> None:
        """Raise `RunError` if a study of this name is not that of this run."""
        if config_text(study) is not None:
            self.config.check_continues(config_of(study), f"study {self.name} in {self.storage}")
        elif study.get_trials(deepcopy=False):
            raise RunError(f"study {self.name} in {self.storage} was not made by `nars search`")

    def _check_trials(self, study: Study) -> None:
        """Raise `RunError` if a trial records something else than nars does."""
        dimensions = self.config.space.distributions
        try:
            for trial in study.get_trials(deepcopy=False):
                check(trial, len(self.config.objectives), dimensions)
        except RunError as error:
            raise RunError(f"study {self.name} in {self.storage}: {error}") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock, which only one process at a time has."""
        with FileLock(self.folder / ".lock"):
            yield


def default_folder(config: SearchConfig) -> Path:
    """Return the folder of a search without ``--run``, equal for commands that continue each other.

    It is the one that has this search, begun by this or an older version from data of any name.
    """
    old = RUNS / one_part(f"{config.space.name}-{Path(config.data).stem}-{config.spelled_identity}")
    begun = [old, *sorted(RUNS.glob(f"*-{config.identity}"))]
    title = Path(config.data).resolve().name if config.has_path else config.data
    new = RUNS / one_part(f"{config.space.name}-{Path(title).stem}-{config.identity}")
    return next((folder for folder in begun if (folder / "config.yaml").exists()), new)


def start_run(folder: Path, config: SearchConfig, storage: str | None) -> Run:
    """Create a run folder, or continue the search in an existing one.

    Raises `RunError` if the folder holds another search, an older schema or other files.
    """
    file, name = folder / "config.yaml", folder.resolve().name
    if file.exists():
        run = open_run(folder)
        config.check_continues(run.config, str(folder))
        if storage is None:
            run.permitted()
        elif absolute(storage) != absolute(run.storage):
            raise RunError(f"{folder} is stored in {_cut(run.storage)}, not in {_cut(storage)}")
        storage, name = run.storage, run.name
    elif folder.exists() and any(map(_is_foreign, folder.iterdir())):
        raise RunError(f"{folder} is not empty and holds no search")
    storage = None if storage is None else absolute(storage)
    if storage is not None and not storage.endswith(".journal"):
        open_storage(complete(storage))  # a mistyped URL is refused before it is written down
    storage = without_password(storage or str(folder / "study.journal"))
    note(folder, storage, name)
    check_room(folder)
    if not file.exists():
        write_whole(file, config.to_yaml())
    return Run(folder, config, storage, name, starts=True)


def _is_foreign(file: Path) -> bool:
    """Whether a file cannot come from a search that was killed before it wrote its `config.yaml`."""
    return file.name != NOTE and not file.name.startswith(".")


def open_run(folder: Path, given: str | None = None) -> Run:
    """Read a run folder; `given` is the storage that the user names. Raises `RunError`.

    A storage outside of the folder is opened only if the user names it, for the folder may be a stranger's.
    """
    file = folder / "config.yaml"
    if not file.exists():
        raise RunError(f"{folder} is no run folder: it has no config.yaml")
    try:
        config = SearchConfig.load(file)
    except SpecError as error:
        raise RunError(f"this version cannot continue the search: {error}") from None
    storage, name = noted(folder)
    journal = folder / "study.journal"
    if journal.exists() or not storage:  # a folder that was moved still has its own journal
        storage = str(journal)
    storage = located(storage, folder)
    is_given = given is not None and absolute(given) == absolute(storage)
    if given is not None and not is_given and not is_within(storage, folder):
        raise RunError(f"{folder} is stored in {_cut(storage)}, not in {_cut(given)}")
    return Run(folder, config, storage, name or folder.resolve().name, is_given=is_given)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def latest(given: str | None = None) -> Run:
    """Open the run below ``runs/`` that was started or continued last. Raises `UsageError` without any."""
    configs = sorted(RUNS.glob("*/config.yaml"), key=lambda file: file.stat().st_mtime)
    if not configs:
        raise UsageError(f"no run in {RUNS}/: give --run DIR, or start one with `nars search`")
    return open_run(configs[-1].parent, given)


def config_of(study: Study) -> SearchConfig:
    """Read the search that a study was made for. Raises `RunError` if nars did not make the study."""
    text = config_text(study)
    if text is None:
        raise RunError(f"study {study.study_name!r} was not made by `nars search`")
    if not isinstance(text, str):
        raise RunError(f"study {study.study_name!r} is damaged: its config is no text")
    return SearchConfig.from_yaml(text, f"study {study.study_name}")
