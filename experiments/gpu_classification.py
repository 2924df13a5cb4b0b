"""How fast does a classifier train on one GPU, beside bare loops on the same network?

    python -m experiments.gpu_classification --data fashion_mnist_20k.npz --photos clothing_photos

Every rate is of one training; the bare loops have the data on the GPU already, do not augment, and run the
optimizer alone: once as it is (`eager`), once as a CUDA graph (`captured`). Needs a GPU and no network. Costs
six minutes on an H200. The parts can be chosen by name: cold, micro, photos, large, disk, search,
photo_search.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from experiments.bare_loops import seconds_of
from experiments.search_rate import report_search
from nars.data import ImageData, load
from nars.data.arrays import from_arrays
from nars.data.pictures import READERS, Picture, read_rgb
from nars.data.splits import DiskSplit
from nars.device import resolve, seeded
from nars.networks.build import build
from nars.space import genotypes
from nars.spec import Architecture, Recipe
from nars.training.loop import Outputs, train
from nars.training.progress import Progress
from nars.training.teacher import Teacher
from search_spaces import published, space

MICRO, MICRO_SIDE = 4.1e6, 24
"""MACs and resolution of the candidate of ``micro``: those of a median one within 8 M."""


def main() -> None:
    """Print the figures of every part."""
    parts = {"cold": cold, "micro": micro, "photos": photos, "large": large, "disk": disk}
    parts |= {"search": search, "photo_search": photo_search}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="an .npz of small images, such as Fashion-MNIST"
    )
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--init", default="auto", help="weights that the search on photos starts from")
    parser.add_argument("--budget", default="90s", help="time of a search")
    parser.add_argument(
        "--workers", type=int, nargs="*", default=[1, 0], help="those of each search; 0: as it chooses"
    )
    parser.add_argument("parts", nargs="*", default=list(parts), choices=list(parts))
    options = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    for name in options.parts:
        began = time.perf_counter()
        parts[name](options)
        print(f"({name}: {time.perf_counter() - began:.0f} s)", flush=True)


def candidate(seed: int = 0) -> Architecture:
    """A candidate of ``micro`` whose cost is the nearest to `MICRO` of 256 random ones."""
    micro = space("micro")
    matrix = genotypes.sample(micro, 256, np.random.default_rng(seed))
    nearest = np.abs(micro.statistics(matrix)["macs"] - MICRO).argmin()
    (genotype,) = genotypes.to_genotypes(micro, matrix[[nearest]])
    return micro.decode(genotype).architecture.replace(resolution=MICRO_SIDE)


def cold(options: argparse.Namespace) -> None:
    """Seconds until the first steps of a process, of its second candidate and of its third."""
    program = (
        "import time, sys; began = time.perf_counter()\n"
        "from experiments import gpu_classification as g\n"
        "g.first_steps(began, sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", program, str(options.data)], check=True)


def first_steps(began: float, path: str) -> None:
    """Time what a new process does until its candidates train; `began` is its start."""

    def lap(what: str) -> None:
        nonlocal began
        torch.cuda.synchronize()
        now = time.perf_counter()
        print(f"  {what}: {now - began:.2f} s", flush=True)
        began = now

    print("cold start", flush=True)
    print(f"  imports: {time.perf_counter() - began:.2f} s", flush=True)
    began = time.perf_counter()
    torch.zeros(1, device="cuda")
    lap("context")
    data = load(path)
    lap("data")
    for number in range(4):
        architecture = candidate(number)
        laps: list[float] = []
        recipe = Recipe(epochs=1, lr=0.05, batch_size=64, ema=True)
        start = time.perf_counter()
        model = build(architecture, len(data.classes), recipe)
        outputs = Outputs(on_step=lambda _: laps.append(time.perf_counter()))  # noqa: B023 - used up in this round
        train(model, data, recipe, resolution=MICRO_SIDE, device=resolve("cuda"), seed=0, outputs=outputs)
        print(f"  candidate {number}: first step {laps[0] - start:.2f} s", flush=True)
        lap("  an epoch with its measurement")


def micro(options: argparse.Namespace) -> None:
    """Images per second on a small candidate and small images."""
    data = load(str(options.data))
    for batch in (64, 512):
        for name, recipe in {
            "SGD": Recipe(epochs=4, lr=0.05, batch_size=batch),
            "AdamW, EMA, mixup": Recipe(
                epochs=4, lr=0.002, optimizer="adamw", batch_size=batch, ema=True, mixup=0.2
            ),
        }.items():
            ours = rate(candidate(), data, recipe, MICRO_SIDE)
            report(
                f"micro, batch {batch}, {name}",
                ours,
                bare(candidate(), recipe, MICRO_SIDE, len(data.classes)),
            )


def photos(options: argparse.Namespace) -> None:
    """Images per second on photos with the recipe's augmentation, with and without a teacher."""
    data = load(str(options.photos))
    architecture = published("efficientnet_lite0").replace(resolution=96)
    recipe = Recipe(
        epochs=6, lr=0.05, batch_size=64, ema=True, augmentation="flip", crop_area=0.5, label_smoothing=0.1
    )
    loops = bare(architecture, recipe, 96, len(data.classes))
    report("photos at 96 px, crops", rate(architecture, data, recipe, 96), loops)
    policy = recipe.replace(policy="trivial_augment", erasing=0.2)
    report("photos at 96 px, crops, TrivialAugment, erasing", rate(architecture, data, policy, 96), loops)
    teacher = Teacher(build(architecture, len(data.classes)).cuda(), 96)
    taught = recipe.replace(distill=0.5)
    loops = bare(architecture, recipe, 96, len(data.classes), teacher)
    report("photos at 96 px, crops, teacher", rate(architecture, data, taught, 96, teacher), loops)


def large(_: argparse.Namespace) -> None:
    """Images per second on FBNetV3-A at 224 pixels; the pixels are random.

    The training is long enough for cuDNN to compile kernels: see `nars.device.kernels_for`.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4096, 224, 224, 3), dtype=np.uint8)
    data = from_arrays("noise", {"x_train": images, "y_train": np.arange(4096) % 10})
    architecture = published("fbnetv3_a").replace(resolution=224)
    recipe = Recipe(epochs=24, lr=0.05, batch_size=256, augmentation="flip")
    report(
        "FBNetV3-A at 224 px, batch 256",
        rate(architecture, data, recipe, 224),
        bare(architecture, recipe, 224, 10),
    )


def disk(options: argparse.Namespace) -> None:
    """Images per second from JPEGs of 500 x 375 pixels, decoded again in each epoch, alone and in a training.

    They are the photos, enlarged, so that they decode like those of a camera.
    """
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(sorted(options.photos.rglob("*.jpg"))[:2048]):
            made = Path(folder) / "train" / f"class{number % 4}" / f"{number}.jpg"
            made.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as photo:
                photo.convert("RGB").resize((500, 375)).save(made, quality=90)
        pictures = [
            Picture(str(path), number % 4, partial(read_rgb, path))
            for number, path in enumerate(sorted(Path(folder).rglob("*.jpg")))
        ]
        groups = [group for _ in range(2) for group in torch.randperm(len(pictures)).split(128)]
        for readers in (READERS, 8, 4, 2):
            split, began = DiskSplit(pictures, side=375, readers=readers), time.perf_counter()
            count = sum(len(images) for images, _ in split.batches(224, torch.device("cuda"), groups))
            torch.cuda.synchronize()
            each = count / (time.perf_counter() - began)
            print(f"  decoded alone, {readers} threads: {each:,.0f} images/s", flush=True)
        split = DiskSplit(pictures, side=375)
        data = replace(load(folder), train=split)
        architecture = published("fbnetv3_a").replace(resolution=224)
        recipe = Recipe(epochs=12, lr=0.05, batch_size=128, augmentation="flip")
        report(
            "FBNetV3-A at 224 px, batch 128, from disk",
            rate(architecture, data, recipe, 224),
            bare(architecture, recipe, 224, 4),
        )


def search(options: argparse.Namespace) -> None:
    """Candidates a minute in searches on small images."""
    _searches(options, options.data, {"space": "micro", "max_macs": 4e6})


def photo_search(options: argparse.Namespace) -> None:
    """Candidates a minute in searches on photos, from weights."""
    _searches(options, options.photos, {"max_macs": 32e6, "init": options.init})


def _searches(options: argparse.Namespace, source: Path, settings: dict[str, Any]) -> None:
    """Search with each number of workers, and count the candidates that were trained in full."""
    for workers in options.workers:
        report_search(source.name, workers, data=str(source), budget=options.budget, **settings)


def rate(
    architecture: Architecture,
    data: ImageData,
    recipe: Recipe,
    side: int,
    teacher: Teacher | None = None,
) -> tuple[float, float]:
    """Images per second of the median epoch after the first, of its steps alone and with the measurement."""
    ends: list[float] = []
    steps: list[list[float]] = [[]]

    def at_step(_: object) -> None:
        torch.cuda.synchronize()
        steps[-1].append(time.perf_counter())

    def at_epoch(_: Progress) -> bool:
        ends.append(time.perf_counter())
        steps.append([])
        return True

    with seeded(0, torch.device("cpu")):
        model = build(architecture, len(data.classes), recipe)
    outputs = Outputs(on_step=at_step, on_epoch=at_epoch)
    device = resolve("cuda")
    train(model, data, recipe, resolution=side, device=device, seed=0, teacher=teacher, outputs=outputs)
    whole = [after - before for before, after in pairwise(ends)]
    alone = [each[-1] - end for each, end in zip(steps[1:-1], ends, strict=False)]
    count = len(data.train)
    return count / float(np.median(alone)), count / float(np.median(whole))


def bare(
    architecture: Architecture,
    recipe: Recipe,
    side: int,
    classes: int,
    teacher: Teacher | None = None,
) -> tuple[float, float]:
    """Images per second of a bare loop: as it is, and captured."""
    images = torch.randn(recipe.batch_size, 3, side, side, device="cuda")
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(recipe.batch_size, device="cuda") % classes
    model = build(architecture, classes, recipe).cuda().to(memory_format=torch.channels_last).train()
    if recipe.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            model.parameters(), 1e-3, fused=True, capturable=True
        )
    else:
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            logits = model(images)
            loss = F.cross_entropy(logits, labels)
            if teacher is not None:
                loss = loss + F.kl_div(logits.log_softmax(1), teacher(images).softmax(1))
        loss.backward()
        optimizer.step()
        return loss

    eager, captured = seconds_of(step, optimizer)
    return recipe.batch_size / eager, recipe.batch_size / captured


def report(name: str, ours: tuple[float, float], loops: tuple[float, float]) -> None:
    """Print a line: ours and the share of the captured loop that it reaches."""
    alone, whole = ours
    eager, captured = loops
    print(
        f"  {name}: nars {alone:,.0f} images/s ({alone / captured:.2f} of captured), "
        f"with measurements {whole:,.0f} ({whole / captured:.2f}); "
        f"bare eager {eager:,.0f}, captured {captured:,.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
