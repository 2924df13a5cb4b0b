"""Final trainings: one row, data set and seed at a time, each written down when it is done."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

from detector.data.records import CocoData
from detector.evaluation.interval import draws, resampled_aps
from detector.evaluation.loop import Evaluation
from detector.model.cost import count
from detector.space.planned import plan_candidate
from detector.training.loop import train
from detector.training.start import started
from detector.weights.saved import save_detector
from experiments.detector_folds import training_images
from experiments.detector_table.detectors import SCRATCH, candidate_of, parent_of, weights_file
from experiments.detector_table.rows import PARENT, Row, passes_over, row_called
from experiments.detector_table.torchvision_rows import trained as trained_by_torchvision
from nars.files import write_whole

__all__ = ["final", "half_trained"]


def final(row: Row, name: str, seed: int, root: Path, work: Path, device: str, file: Path) -> None:
    """Train a row on the data set `name`; `file` gets its scores, and its AP in draws of val images."""
    torch.set_num_threads(1)
    data = training_images(root, name)
    passes = passes_over(len(data.train.images)) // (2 if row.inherits else 1)
    began = time.perf_counter()
    if row.name.startswith("d_"):
        training = SCRATCH.replace(epochs=passes)
        model, evaluation = trained_by_torchvision(row.name, data, training, torch.device(device), seed)
        weights = weights_file(work, name, row.name, seed)
        weights.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), weights)
        costs: dict[str, Any] = {"params": sum(parameter.numel() for parameter in model.parameters())}
    else:
        costs, evaluation = _trained(row, name, seed, data, work, device, passes)
    scores = {"set": name, "row": row.name, "seed": seed, "passes": passes, **costs}
    scores |= {key: value for key, value in evaluation.numbers().items() if value is not None}
    scores["seconds"] = round(time.perf_counter() - began, 1)
    drawn = resampled_aps(data, evaluation.results, draws(len(data.val.images), seed=0))
    scores["drawn_aps"] = [round(float(ap), 4) for ap in drawn]
    write_whole(file, json.dumps(scores) + "\n")


def half_trained(name: str, seed: int, root: Path, work: Path, device: str) -> None:
    """Train `PARENT` for half of the passes, for those that inherit from it."""
    torch.set_num_threads(1)
    data = training_images(root, name)
    _trained(
        row_called(PARENT),
        name,
        seed,
        data,
        work,
        device,
        passes_over(len(data.train.images)) // 2,
        half=True,
    )


def _trained(
    row: Row,
    name: str,
    seed: int,
    data: CocoData,
    work: Path,
    device: str,
    passes: int,
    *,
    half: bool = False,
) -> tuple[dict[str, Any], Evaluation]:
    """Train for so many passes and write the detector; return its costs and its scores on val."""
    place = torch.device(device)
    candidate = candidate_of(row, name, passes, len(data.classes))
    parent = parent_of(row, name, work, seed)
    model = started(plan_candidate(candidate, data, place, parent=parent), data, place, seed)
    result = train(model, data, candidate.recipe, device=place, seed=seed)
    weights = weights_file(work, name, row.name, seed, half=half)
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_detector(weights, result.model, data.classes, {}, name)
    cost = count(result.model)
    return {"macs": cost.macs, "params": cost.params}, result.evaluation
