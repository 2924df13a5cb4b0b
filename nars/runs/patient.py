"""A storage of Optuna whose outages are waited out (see `nars.runs.outage`).

A call whose connection is cut may have been carried out or not. Repeating it does no harm: attributes,
parameters and scores are set again to the same values, a trial that this process has finished is recognized,
and a trial that was created twice has no worker, so it is taken out of the study as one whose worker died.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nars.internals import FrozenStudy
from nars.runs.outage import Outage

__all__ = ["PatientStorage"]

T = TypeVar("T")


class PatientStorage(BaseStorage):
    """Passes every call on to `inner`, and repeats it while that is away."""

    def __init__(self, inner: BaseStorage, name: str) -> None:
        self.inner = inner
        self._outage = Outage(name)

    def _ask(self, method: Callable[..., T], *arguments: Any) -> T:
        return self._outage.outlast(partial(method, *arguments))

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        return self._ask(self.inner.create_new_study, directions, study_name)

    def delete_study(self, study_id: int) -> None:
        self._ask(self.inner.delete_study, study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._ask(self.inner.set_study_user_attr, study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._ask(self.inner.set_study_system_attr, study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._ask(self.inner.get_study_id_from_name, study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._ask(self.inner.get_study_name_from_id, study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._ask(self.inner.get_study_directions, study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._ask(self.inner.get_study_user_attrs, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._ask(self.inner.get_study_system_attrs, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        return self._ask(self.inner.get_all_studies)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        return self._ask(self.inner.create_new_trial, study_id, template_trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        self._ask(self.inner.set_trial_param, trial_id, param_name, param_value_internal, distribution)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        return self._ask(self.inner.get_trial_id_from_study_id_trial_number, study_id, trial_number)

    def get_trial_number_from_id(self, trial_id: int) -> int:
        return self._ask(self.inner.get_trial_number_from_id, trial_id)

    def get_trial_param(self, trial_id: int, param_name: str) -> float:
        return self._ask(self.inner.get_trial_param, trial_id, param_name)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        return self._ask(_Finishing(self.inner, trial_id, state, values))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._ask(self.inner.set_trial_intermediate_value, trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._ask(self.inner.set_trial_user_attr, trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._ask(self.inner.set_trial_system_attr, trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._ask(self.inner.get_trial, trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return self._ask(self.inner.get_all_trials, study_id, deepcopy, states)

    def get_n_trials(self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None) -> int:
        return self._ask(self.inner.get_n_trials, study_id, state)

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        return self._ask(self.inner.get_best_trial, study_id)

    def remove_session(self) -> None:
        self.inner.remove_session()


class _Finishing:
    """One change of a trial's state; if it is repeated, it knows what the first attempt has done."""

    def __init__(
        self, inner: BaseStorage, trial_id: int, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._inner = inner
        self._number = trial_id
        self._state = state
        self._values = None if values is None else list(values)
        self._attempts = 0

    def __call__(self) -> bool:
        self._attempts += 1
        try:
            return self._inner.set_trial_state_values(self._number, self._state, self._values)
        except UpdateFinishedTrialError:
            if self._attempts == 1:
                raise
            trial = self._inner.get_trial(self._number)
            if (trial.state, trial.values) != (self._state, self._values):
                raise
            return True
