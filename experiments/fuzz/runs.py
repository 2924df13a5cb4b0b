"""Kinds of run folders: configurations, storages that point elsewhere, journals and what trials record."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from hypothesis import strategies as st
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from experiments.fuzz.documents import written
from experiments.fuzz.hostile import OUTSIDE, as_json, damaged, hostile, mutated, renumbered
from experiments.fuzz.judge import Case, Kind, command
from nars.runs.config import SearchConfig
from nars.runs.storage import open_storage
from nars.trials import Record, write

__all__ = ["KINDS"]

_TRIALS = 9
"""Trials of the run that members are made from."""

_OBJECTIVES = (("accuracy",), ("accuracy", "macs"))
"""Objectives of searches."""

_USES = (*("best-arch", "pareto", "trials", "trials"), *("continue", "warm-start"), "report")
"""The uses of a run; all but the last take milliseconds."""


@cache
def _config(objectives: tuple[str, ...]) -> SearchConfig:
    import search_spaces

    space = search_spaces.space("micro").replace(num_classes=10)
    return SearchConfig(space=space, data_fingerprint="none", budget="8", objectives=objectives)


@cache
def _lines(objectives: tuple[str, ...], as_worker: bool = False) -> tuple[bytes, ...]:
    """The lines of the journal of a finished search: a line a trial, or those that a worker writes."""
    from nars.space import genotypes
    from nars.studies import write_config_text

    config = _config(objectives)
    rows = genotypes.sample(config.space, _TRIALS, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "study.journal"
        study = optuna.create_study(
            storage=open_storage(journal), study_name="data", directions=config.directions
        )
        write_config_text(study, config.to_yaml())
        add = _train if as_worker else _add
        for number, params in enumerate(genotypes.to_genotypes(config.space, rows)):
            score, costs = 0.5 + number / 100, config.space.statistics_of(params)
            curve = [(0.5, score / 2), (1.0, score)]
            measured = costs | {"accuracy": score}
            record = Record(seed=number, epochs=2, seconds=1.5, curve=curve, measured=measured)
            add(study, config, params, record)
        return tuple(journal.read_bytes().splitlines(keepends=True))


def _add(study: Study, config: SearchConfig, params: Mapping[str, Any], record: Record) -> None:
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE,
            params=dict(params),
            distributions=dict(config.space.distributions),
            values=[record.measured[name] for name in config.objectives],
            user_attrs=record.attributes,
        )
    )


def _train(study: Study, config: SearchConfig, params: Mapping[str, Any], record: Record) -> None:
    study.enqueue_trial(dict(params))
    trial = study.ask(dict(config.space.distributions))
    write(study, trial, record)
    study.tell(trial, [record.measured[name] for name in config.objectives])


def _case(draw: st.DrawFn, config: SearchConfig, **files: bytes) -> Case:
    case = {"config.yaml": config.to_yaml().encode(), "study.journal": b"".join(_lines(config.objectives))}
    use = draw(st.sampled_from(_USES)) if draw(st.integers(0, 9)) else "trials"
    table = b"trial,state\n" + b"".join(b"%d,complete\n" % number for number in range(_TRIALS))
    named = {name.replace("_", "."): content for name, content in files.items()}
    return case | {"trials.csv": table} | named | {"use": use.encode()}


@st.composite
def _configs(draw: st.DrawFn) -> Case:
    """A run with another configuration: in its file, or in its study, too."""
    config = draw(st.sampled_from([_config(names) for names in _OBJECTIVES]))
    text = draw(written(config.to_yaml()))
    lines = list(_lines(config.objectives))
    if draw(st.booleans()):
        place = next(at for at, line in enumerate(lines) if b'"config"' in line)
        fields = json.loads(lines[place])
        fields["user_attr"]["config"] = text.decode(errors="replace")
        lines[place] = json.dumps(fields).encode() + b"\n"
    return _case(draw, config, config_yaml=text, study_journal=b"".join(lines))


_STORAGES = (
    *(
        "../../outside/study.journal",
        f"{OUTSIDE}/study.journal",
        f"sqlite:///{OUTSIDE}/x.db",
        "/dev/zero.journal",
    ),
    *(
        "sqlite:///x.db",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=rwc&uri=true",
        "mysql://a:b@127.0.0.1/x",
    ),
    *(
        "grpc://127.0.0.1:1",
        "redis://127.0.0.1:1",
        "x.journal",
        "",
        "\0.journal",
        "study.journal",
        "://",
        "sqlite://",
    ),
)


@st.composite
def _storages(draw: st.DrawFn) -> Case:
    """A run whose storage is elsewhere, or named by nonsense."""
    text = st.one_of(st.sampled_from(_STORAGES), hostile.map(lambda value: str(value)[:9000]))
    name = st.one_of(st.just("data"), hostile.map(lambda value: str(value)[:9000]))
    content = f"{draw(text)}\n{draw(name)}\n".encode(errors="replace")
    case = dict(_case(draw, _config(_OBJECTIVES[0]), storage_txt=draw(damaged(content))))
    if draw(st.booleans()):
        case["x.journal"] = case["study.journal"]
        del case["study.journal"]
    elif draw(st.booleans()):
        case["study.journal"] = draw(
            st.sampled_from([b"|", b"->/dev/zero", f"->{OUTSIDE}/secret.png".encode()])
        )
    return case


@st.composite
def _journals(draw: st.DrawFn) -> Case:
    """A run whose journal has other lines than Optuna wrote."""
    config = draw(st.sampled_from([_config(names) for names in _OBJECTIVES]))
    lines = list(_lines(config.objectives, as_worker=draw(st.booleans())))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        change = draw(
            st.sampled_from(
                ["fields", "record", "record", "record", "drop", "swap", "repeat", "cut", "damage"]
            )
        )
        if change == "fields":
            lines[at] = as_json(draw(mutated(json.loads(lines[at])))) + b"\n"
        elif change == "record":
            lines[at] = draw(_recorded(lines[at]))
        elif change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif change == "repeat":
            lines.insert(at, lines[at])
        elif change == "cut":
            lines = lines[: at + 1]
        else:
            lines[at] = draw(damaged(lines[at]))
    return _case(draw, config, study_journal=b"".join(lines))


@st.composite
def _recorded(draw: st.DrawFn, line: bytes) -> bytes:
    """The line of a journal with other values of a trial or in its record."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    names = ("user_attrs", "values", "value", "params", "state", "distributions", "user_attr", "system_attrs")
    there = [name for name in names if isinstance(fields, dict) and name in fields]
    if there:
        name, change = draw(st.sampled_from(there)), draw(st.sampled_from([mutated, renumbered, renumbered]))
        changed = draw(change({name: fields[name]}))
        fields |= changed if isinstance(changed, dict) else {name: changed}
    return as_json(fields) + b"\n"


def _use(folder: Path) -> None:
    """Use a run as a user would."""
    use = (folder / "use").read_text()
    (folder / "use").unlink()
    if use == "report":
        command("report", "--run", folder, "-o", "report.html")
    elif use == "continue":
        _continue(folder)
    elif use == "warm-start":
        _learn(folder)
    elif use == "trials":
        said = command("export", "trials", "--run", folder, "-o", "trials.csv")
        with Path("trials.csv").open(newline="") as table:
            rows = sum(row["state"] == "complete" for row in csv.DictReader(table))
        assert rows >= _TRIALS or "cut off" in said, f"{rows} of {_TRIALS} trials without a word"
    else:
        command("export", use, "--run", folder, "-o", "made")


def _continue(folder: Path) -> None:
    """Open the run as the search that it says it is."""
    from nars.runs.run import open_run, start_run

    start_run(folder, open_run(folder).config, None).study()


def _learn(folder: Path) -> None:
    """Learn from the run as from an earlier search."""
    from nars.runs.run import open_run
    from nars.searching.earlier import learned

    run = open_run(folder)
    learned(run.read(), str(folder), list(run.config.space.distributions))


_WRITES = frozenset({"use", "study.journal", "study.journal.flock", "storage.txt", "config.yaml"})
"""Files of a run that continuing it writes."""

KINDS = (
    Kind("config", _configs(), _use, _WRITES),
    Kind("storage", _storages(), _use, _WRITES),
    Kind("journal", _journals(), _use, _WRITES),
)
"""Folders of runs that somebody else may have made."""
