"""An outage of a storage is waited out; code that has better things to do is told at once."""

from __future__ import annotations

import logging
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState
from sqlalchemy import exc as sql

from nars.errors import StorageAwayError
from nars.runs import outage
from nars.runs.outage import Outage, impatient, is_outage, reason_of
from nars.runs.patient import PatientStorage


def database_error(cause: Exception) -> StorageInternalError:
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = cause
    return error


def away() -> sql.OperationalError:
    return sql.OperationalError("select 1", {}, Exception("the database system is starting up\nmore"))


AWAY = away()
CUT = sql.DBAPIError("select 1", {}, Exception("connection lost"), connection_invalidated=True)
ROLLBACK = sql.PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")
WRONG = sql.DataError("insert", {}, Exception("value too long"))


@pytest.mark.parametrize(
    "error",
    [AWAY, CUT, database_error(AWAY), database_error(ROLLBACK), OSError(28, "No space left"), TimeoutError()],
)
def test_what_passes(error: Exception) -> None:
    assert is_outage(error)


def test_an_error_of_the_database_passes_whatever_its_driver_says() -> None:
    error = sql.OperationalError("select 1", {}, Exception("consuming input failed"))
    error.__cause__ = RuntimeError("of the driver")
    assert is_outage(error)
    assert reason_of(error) == "consuming input failed"


def ended_by_signal(code: int) -> None:
    """Fail as a database does that is away when a signal ends a call: its rollback fails."""
    try:
        raise SystemExit(code)
    except SystemExit:
        raise away() from None


def test_a_signal_ends_a_call_though_the_rollback_after_it_fails() -> None:
    with pytest.raises(SystemExit) as ended:
        Outage("storage x").outlast(lambda: ended_by_signal(143))
    assert ended.value.code == 143


def test_a_signal_that_is_being_handled_ends_no_call(pauses: list[float]) -> None:
    try:
        raise SystemExit(143)
    except SystemExit:
        assert Outage("storage x").outlast(failing(3)) == "answer"


@pytest.mark.parametrize("error", [WRONG, database_error(WRONG), KeyError("x"), ValueError("y")])
def test_what_does_not(error: Exception) -> None:
    assert not is_outage(error)


def test_the_reason_is_the_drivers_first_line() -> None:
    assert reason_of(database_error(AWAY)) == "the database system is starting up"
    assert reason_of(database_error(ROLLBACK)) == "its connection was cut"
    assert reason_of(OSError(28, "No space left")) == "No space left"
    assert reason_of(TimeoutError()) == "TimeoutError"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses made, which take no time."""
    now, made = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        made.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(outage.time, "sleep", sleep)
    monkeypatch.setattr(outage.time, "monotonic", lambda: now[0])
    return made


def failing(times: int) -> Any:
    left = [times]

    def call() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise away()
        return "answer"

    return call


def test_pauses_grow_to_ten_seconds_and_an_outage_is_said_once_with_its_end(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    storage = Outage("storage x")
    assert storage.outlast(failing(35)) == "answer"
    assert storage.outlast(failing(0)) == "answer"
    assert pauses[:7] == [0.25, 0.5, 1, 2, 4, 8, 10]
    assert sum(pauses) > 290
    assert [record.message for record in caplog.records] == [
        "storage x does not answer: the database system is starting up; waiting, trainings go on",
        "storage x answers again after 306 s",
    ]


def test_an_hour_is_the_longest(pauses: list[float]) -> None:
    with pytest.raises(StorageAwayError, match="storage x is away for 60 minutes: the database system"):
        Outage("storage x").outlast(failing(1000))
    assert 3600 < sum(pauses) < 3620


def test_who_is_impatient_does_not_wait_nor_even_try_again(pauses: list[float]) -> None:
    away, tries = Outage("storage x"), list[int]()

    def call() -> None:
        tries.append(1)
        raise AWAY

    with impatient():
        for _ in range(3):
            with pytest.raises(StorageAwayError, match="storage x is away"):
                away.outlast(call)
    assert (len(tries), pauses) == (1, [])


class Flaky(InMemoryStorage):
    """Carries out a change of state, then loses the connection before it can say so."""

    cut = False

    def set_trial_state_values(self, *arguments: Any, **named: Any) -> bool:
        done = super().set_trial_state_values(*arguments, **named)
        if self.cut:
            self.cut = False
            raise away()
        return done


def test_a_result_that_was_stored_before_the_connection_broke_is_stored_once(pauses: list[float]) -> None:
    inner = Flaky()
    study = optuna.create_study(storage=PatientStorage(inner, "x"))
    trial = study.ask()
    inner.cut = True
    study.tell(trial, 0.5)
    assert [(trial.state, trial.value) for trial in study.trials] == [(TrialState.COMPLETE, 0.5)]


def test_a_trial_that_somebody_else_has_ended_stays_as_it_is(pauses: list[float]) -> None:
    inner = Flaky()
    storage = PatientStorage(inner, "x")
    study = optuna.create_study(storage=storage)
    study.ask()
    inner.set_trial_state_values(0, TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(0, TrialState.COMPLETE, [0.5])


def test_every_method_of_optuna_is_passed_on() -> None:
    """A method that is not would skip the waiting, or a faster version of the storage itself."""
    passed = vars(PatientStorage)
    helpers = {
        "check_trial_is_updatable",
        "get_trial_params",
        "get_trial_user_attrs",
        "get_trial_system_attrs",
    }
    public = {name for name in vars(BaseStorage) if not name.startswith("_")}
    assert public - passed.keys() == helpers
