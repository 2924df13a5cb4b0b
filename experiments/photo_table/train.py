"""One row on one resplit: the network, its final training, its answers to the test photos."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.photo_table.photos import resplit
from experiments.photo_table.rows import EPOCHS, Row, name_of
from nars.data import ImageData, in_order, load, normalise
from nars.device import resolve
from nars.networks.weights import load_weights
from nars.parents.parent import Parent
from nars.parents.sources import parent, parent_in
from nars.parents.start import teacher_of
from nars.space.cost import count
from nars.spec import Candidate
from nars.tasks.classification import Classification
from nars.training.evaluation import moments
from nars.training.loop import train

__all__ = ["final", "run_folder"]

CPU = torch.device("cpu")


def run_folder(row: Row, seed: int, work: Path) -> Path:
    """The run of a searched row."""
    return work / "runs" / f"{name_of(row)}-{seed}"


def final(row: Row, seed: int, root: Path, work: Path, file: Path, device: str = "cpu") -> None:
    """Train the network of a row in full, and write what it answers to the test photos."""
    torch.set_num_threads(1)
    place = resolve(device)
    data = load(resplit(root, seed, work))
    began = time.perf_counter()
    if row.tool:
        from experiments.photo_table import pruned

        network, macs, resolution = pruned.made(row, data)
        lite = _lite()
        data = data.normalized(torch.tensor(lite.mean), torch.tensor(lite.std))
        trained = train(network, data, row.recipe, resolution=resolution, device=place, seed=seed)
        val, model, candidate = trained.val.accuracy, trained.model, None
    else:
        candidate = _candidate(row, seed, work)
        task = _task(row, data, seed, work, place)
        outcome = task.run(candidate, seed=seed, checkpoint=work / f"{file.stem}.checkpoint")
        assert outcome.write is not None
        with tempfile.TemporaryDirectory() as folder:
            outcome.write(Path(folder) / "final.pt")
            model = load_weights(Path(folder) / "final.pt").network()
        val, data, resolution = outcome.score, task.data, candidate.architecture.resolution
        macs = count(candidate.architecture, num_classes=len(data.classes)).macs
    result = {
        "row": row.way,
        "limit": row.limit,
        "resplit": seed,
        "macs": int(macs),
        "resolution": resolution,
        "epochs": EPOCHS,
        "val": round(val, 4),
        "seconds": round(time.perf_counter() - began),
        "device": device_name(place),
        "candidate": None if candidate is None else candidate.to_yaml(),
        "labels": data.test.labels.tolist(),
        "answers": answers(model.to(CPU), data, resolution).tolist(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result) + "\n")


def _candidate(row: Row, seed: int, work: Path) -> Candidate:
    """The network and the recipe of the final training."""
    if row.network is not None:
        return Candidate(architecture=row.network, recipe=row.recipe)
    best = Candidate.load(run_folder(row, seed, work) / "best.yaml")
    return best.replace(recipe=best.recipe.replace(epochs=EPOCHS), data=None)


def device_name(device: torch.device) -> str:
    """The name of what a training ran on."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _task(row: Row, data: ImageData, seed: int, work: Path, device: torch.device) -> Classification:
    """The task with the weights that the row inherits from, and the reference as the teacher."""
    if row.start == "random":
        return Classification(data, device)
    if row.start == "imagenet":
        task = Classification(data, device, _lite())
        task.teacher = (
            teacher_of(_reference(row, seed, work), data.classes, device) if row.recipe.distill else None
        )
        return task
    return Classification(data, device, _reference(row, seed, work))


def _reference(row: Row, seed: int, work: Path) -> Parent:
    """The fine-tuned parent of the row's own search, else of the search with the same resplit."""
    from experiments.photo_table.rows import ROWS

    own = row if row.search else ROWS[0]
    return parent_in(run_folder(own, seed, work) / "weights" / "reference.pt")


def _lite() -> Parent:
    found: Any = parent("efficientnet_lite0")
    assert isinstance(found, Parent)
    return found


@torch.inference_mode()
def answers(model: nn.Module, data: ImageData, resolution: int) -> Tensor:
    """The classes [N] that a network answers to the test photos."""
    mean, std = moments(model, data, CPU)
    model.eval()
    batches = data.test.batches(resolution, CPU, in_order(len(data.test), 64))
    return torch.cat([model(normalise(images, mean, std)).argmax(1) for images, _ in batches])
