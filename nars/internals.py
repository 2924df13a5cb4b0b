"""Private parts of Optuna, PyTorch and torchvision without a public equivalent; only this module uses them.

`tests/test_internals.py` fails loudly if a release moves or changes one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume
from optuna.samplers._base import _process_constraints_after_trial
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.study._frozen import FrozenStudy
from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:  # the space and the sampler need no torch
    from torch import Tensor, nn

__all__ = [
    "FrozenStudy",
    "all_trials",
    "blend",
    "hypervolume",
    "non_domination_ranks",
    "note_constraints",
    "set_study_attribute",
    "set_trial_attribute",
    "storage_of",
    "strengths",
    "study_attribute",
    "uploads",
]


def set_trial_attribute(study: Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Set a user attribute of a trial that this process did not ask for.

    Optuna's public setter is a method of `optuna.trial.Trial`, which only the asking process has.
    A sampler, and a process that takes over after a crash, have only the frozen trial.
    """
    study._storage.set_trial_user_attr(trial._trial_id, key, value)


def all_trials(study: Study) -> list[FrozenTrial]:
    """Return the trials of a study, also of one that hides those of other brackets."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def study_attribute(study: Study, key: str) -> Any:
    """Return a user attribute of a study, None if it is not set.

    A sampler under Optuna's Hyperband pruner is given a study of one bracket, which hides them.
    """
    return study._storage.get_study_user_attrs(study._study_id).get(key)


def set_study_attribute(study: Study, key: str, value: Any) -> None:
    """Set a user attribute of a study, also of one that hides them."""
    study._storage.set_study_user_attr(study._study_id, key, value)


def note_constraints(
    function: Callable[[FrozenTrial], Sequence[float]], study: Study, trial: FrozenTrial, state: TrialState
) -> None:
    """Store the constraints that a function of a finished trial gives, as Optuna's own samplers do.

    Raises `ValueError` if one of them is NaN.
    """
    _process_constraints_after_trial(function, study, trial, state)


def storage_of(study: Study) -> BaseStorage:
    """Return the storage that a study is in, to open another study in it."""
    return study._storage


def uploads(trial: FrozenTrial) -> list[str]:
    """Return the name of every file whose upload for a trial was begun, finished or not.

    Optuna writes it down before the upload; its public list takes the storage, which a study keeps private.
    """
    prefix = "artifacts:"
    return [key.removeprefix(prefix) for key in trial.system_attrs if key.startswith(prefix)]


def hypervolume(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the volume that points [n, k] dominate within a reference point [k]; smaller is better."""
    return float(compute_hypervolume(losses, reference))


def non_domination_ranks(losses: NDArray[np.float64], n_below: int) -> NDArray[np.int64]:
    """Return the rank [n] of each point's front, 0 for the nondominated; smaller values [n, k] are better.

    Ranks are exact for at least the `n_below` best points.
    """
    return np.asarray(_fast_non_domination_rank(losses, n_below=n_below))


def strengths(policy: nn.Module, side: int) -> dict[str, tuple[list[float], bool]]:
    """Return the changes of a policy of torchvision's automatic augmentation by their names.

    Each comes with its strengths, from the least to the greatest, for images of `side` pixels, and with
    whether they have either sign. A change without strengths has none.
    """
    bins: Any = policy.num_magnitude_bins
    table: Any = policy._AUGMENTATION_SPACE
    found = {name: (function(bins, side, side), signed) for name, (function, signed) in table.items()}
    return {
        name: ([] if values is None else values.tolist(), signed) for name, (values, signed) in found.items()
    }


def blend(averages: list[Tensor], currents: list[Tensor], share: Tensor) -> None:
    """Move each average towards its current value by a share of the way, a tensor of one number.

    PyTorch has operations on whole lists, a launch or two instead of one for each tensor, for its own
    optimizers alone; its public function for averages takes a plain number, which a CUDA graph would keep.
    """
    import torch

    steps = torch._foreach_sub(currents, averages)
    torch._foreach_mul_(steps, share)
    torch._foreach_add_(averages, steps)
