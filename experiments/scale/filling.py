"""Fills studies with finished random trials, which carry what a search writes down about a trial."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from optuna.distributions import distribution_to_json
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, MetaData, create_engine, insert, select

from nars.space import Space, genotypes
from nars.trials import Record

__all__ = ["EPOCHS", "fill", "record"]

EPOCHS = 10
"""Scores of a training."""

_AT_ONCE = 500
"""Trials that are written to a database together."""


def record() -> Record:
    """Return what a search writes down about a trial."""
    return Record(worker="host:1:1.0", epochs=EPOCHS, seed=1, seconds=40.0, predicted=0.5, predicted_sd=0.1)


def fill(study: Study, micro: Space, size: int, url: str | None = None) -> None:
    """Add finished random trials until there are so many, on a database by many rows at once if it has a URL.

    Nobody else may add trials at the same time.
    """
    begin = len(study.get_trials(deepcopy=False))
    trials = _drawn(micro, max(size - begin, 0))
    if url is not None:
        _insert(url, study.study_name, begin, trials)
        return
    for trial in trials:
        study.add_trial(trial)


def _drawn(micro: Space, count: int) -> Iterator[FrozenTrial]:
    """Yield finished trials, whose scores follow MACs with noise."""
    rng = np.random.default_rng(count)
    drawn = genotypes.sample(micro, count, rng, quasi=False)
    macs = micro.statistics(drawn)["macs"]
    scores = 0.1 * np.log10(macs / 1e4) + rng.normal(0, 0.01, len(drawn))
    for params, score in zip(genotypes.to_genotypes(micro, drawn), scores, strict=True):
        yield optuna.create_trial(
            params=params,
            distributions=dict(micro.distributions),
            value=float(score),
            user_attrs=record().attributes,
            intermediate_values=dict.fromkeys(range(EPOCHS), float(score)),
        )


def _insert(url: str, study: str, begin: int, trials: Iterable[FrozenTrial]) -> None:
    """Write the rows that Optuna would write, which takes it a tenth of a second for each trial."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    schema = MetaData()
    schema.reflect(engine)
    whole = list(trials)
    with engine.begin() as connection:
        studies = schema.tables["studies"]
        study_id = connection.scalar(select(studies.c.study_id).where(studies.c.study_name == study))
        for first in range(0, len(whole), _AT_ONCE):
            chunk = whole[first : first + _AT_ONCE]
            _insert_chunk(connection, schema, study_id, begin + first, chunk)
    engine.dispose()


def _insert_chunk(
    connection: Connection, schema: MetaData, study_id: Any, begin: int, trials: list[FrozenTrial]
) -> None:
    now = datetime.now()
    rows = [
        {
            "study_id": study_id,
            "number": begin + place,
            "state": "COMPLETE",
            "datetime_start": now,
            "datetime_complete": now,
        }
        for place in range(len(trials))
    ]
    table = schema.tables["trials"]
    returning = insert(table).returning(table.c.trial_id, sort_by_parameter_order=True)
    ids = connection.scalars(returning, rows).all()
    for name, rows_of in _TABLES.items():
        details = [
            {"trial_id": key, **row} for key, trial in zip(ids, trials, strict=True) for row in rows_of(trial)
        ]
        connection.execute(insert(schema.tables[name]), details)


def _params(trial: FrozenTrial) -> Iterator[Mapping[str, Any]]:
    for name, distribution in trial.distributions.items():
        value = distribution.to_internal_repr(trial.params[name])
        row = {"param_name": name, "param_value": value}
        yield row | {"distribution_json": distribution_to_json(distribution)}


def _values(trial: FrozenTrial) -> Iterator[Mapping[str, Any]]:
    yield {"objective": 0, "value": trial.value, "value_type": "FINITE"}


def _scores(trial: FrozenTrial) -> Iterator[Mapping[str, Any]]:
    for step, value in trial.intermediate_values.items():
        yield {"step": step, "intermediate_value": value, "intermediate_value_type": "FINITE"}


def _attributes(trial: FrozenTrial) -> Iterator[Mapping[str, Any]]:
    for key, value in trial.user_attrs.items():
        yield {"key": key, "value_json": json.dumps(value)}


_TABLES = {
    "trial_params": _params,
    "trial_values": _values,
    "trial_intermediate_values": _scores,
    "trial_user_attributes": _attributes,
}
"""Tables of Optuna with the rows of a trial."""
