"""LCBench: MLPs on tabular data; seven dimensions of architecture and training together.

A neural surrogate of YAHPO Gym predicts the validation accuracy in per cent after 52 epochs. Its
prediction is both truth and observation, because its authors give no noise of a training. Source:
slds-lmu/yahpo_data (Pfisterer et al., AutoML 2022), Apache-2.0.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution

from experiments.search_benchmark.problem import Array, Problem, Task
from experiments.search_benchmark.tasks.table import PlainDomain, digest, existing
from nars.errors import UsageError
from nars.space.genotypes import Matrix

__all__ = ["NAMES", "load"]

_OPENML = ("3945", "7593", "34539", "126026", "146212", "167168", "168331", "168908", "189873", "189906")
"""OpenML tasks, the data sets of the surrogate that are used."""

NAMES = tuple(f"lcbench-{task}" for task in _OPENML)
"""The tasks of this family."""

_EPOCHS = 52
"""Epochs of a training, the most that the surrogate was fitted to."""

_DIMENSIONS = {
    "recipe.batch_size": IntDistribution(16, 512, log=True),
    "recipe.lr": FloatDistribution(1e-4, 0.1, log=True),
    "recipe.momentum": FloatDistribution(0.1, 0.99),
    "recipe.weight_decay": FloatDistribution(1e-5, 0.1),
    "layers": IntDistribution(1, 5),
    "units": IntDistribution(64, 1024, log=True),
    "recipe.dropout": FloatDistribution(0.0, 1.0),
}
"""Dimensions in the order of the surrogate's inputs (its config_space.json), which begin with the epoch."""


def load(name: str, data_root: Path) -> Task:
    """The task of one data set. Raises `DataError` if the surrogate is absent."""
    folder = data_root / "nas" / "yahpo_lcbench"
    model = existing(folder / "model.onnx")
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    code = codes[name.removeprefix("lcbench-")]

    def score(matrix: Matrix) -> Array:
        n = len(matrix)
        inputs = np.concatenate([np.full((n, 1), _EPOCHS), matrix], axis=1).astype(np.float32)
        feed = {"x_cat": np.full((n, 1), code, np.int32), "x_cont": inputs}
        (output,) = _session(model).run(["output"], feed)
        return np.asarray(output[:, 1], dtype=np.float64)  # time, val_accuracy, ...

    problem = Problem(PlainDomain(_DIMENSIONS))
    return Task(name, problem, score, lambda matrix, rng: (score(matrix),) * 2, digest(model))


@cache
def _session(model: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError("lcbench needs onnxruntime: pip install nars[onnx]") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
