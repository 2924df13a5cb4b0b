"""How fast does a detector train on one GPU, beside bare loops on the same network?

    python -m experiments.gpu_detection --data bccd

BCCD (https://github.com/Shenggan/BCCD_Dataset, MIT licence) and any other folder of images with boxes
will do. The bare loops have one batch of it on the GPU already, and run forward and backward pass and SGD
alone: once as they are (`eager`), once as a CUDA graph (`captured`). Needs a GPU and no network. Costs four
to six minutes on an H100. The parts can be chosen by name: steps, waits, train, search.
"""

from __future__ import annotations

import argparse
import time
import warnings
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from detector.data.check import usable
from detector.data.records import CocoData
from detector.model.batched.slots import Batch
from detector.model.detector import Detector
from detector.training.hyperparameters import Training
from detector.training.loop import Outputs, train
from detector.training.plan import plan
from detector.training.trainer import Trainer
from experiments.bare_loops import seconds_of
from experiments.search_rate import report_search
from nars.training.progress import Step

CUDA = torch.device("cuda")

_TIMED, _LONG = 6, 96
"""Epochs that are timed, and those of a training that is long enough for cuDNN to compile kernels."""


def main() -> None:
    """Print the figures of every part."""
    parts = {"steps": steps, "waits": waits, "train": trained, "search": search}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="a folder in COCO's, Pascal VOC's or YOLO's format")
    parser.add_argument("--arch", default="fbnetv3a_dsmask_c4", help="a published detector")
    parser.add_argument("--batch", type=int, default=16, help="images a step")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="those of whole trainings")
    parser.add_argument("--device", default="cuda", help="that of whole trainings")
    parser.add_argument("--budget", default="90s", help="time of the search")
    parser.add_argument("--workers", type=int, default=0, help="those of the search; 0: as it chooses")
    parser.add_argument("parts", nargs="*", default=list(parts), choices=list(parts))
    options = parser.parse_args()
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{card}, torch {torch.__version__}, {options.arch}", flush=True)
    data = usable(options.data, drop_bad=True)
    for name in options.parts:
        began = time.perf_counter()
        parts[name](options, data)
        print(f"({name}: {time.perf_counter() - began:.0f} s)", flush=True)


def detector(options: argparse.Namespace, data: CocoData, seed: int = 0) -> Detector:
    """A fresh detector with the settings that `nars detect train` would choose on a GPU."""
    return plan(options.arch, data, CUDA).build(len(data.classes), seed)


def recipe(options: argparse.Namespace, **changes: int) -> Training:
    """The hyperparameters of all trainings here."""
    return Training(batch_size=options.batch, lr=0.02, lr_images=options.batch, clip_norm=10).replace(
        **{"epochs": options.epochs} | changes
    )


def steps(options: argparse.Namespace, data: CocoData) -> None:
    """Milliseconds of a step in a short training and in a long one, loading included, and of bare loops.

    Their kernels differ: see `nars.device.kernels_for`. Both are ended after six epochs.
    """
    for epochs in (_TIMED, _LONG):
        _steps(options, data, epochs)
    eager, captured = bare(options, data)
    print(
        f"  bare loop on a batch that is there: eager {eager:.1f} ms, captured {captured:.1f} ms", flush=True
    )


def _steps(options: argparse.Namespace, data: CocoData, epochs: int) -> None:
    """Time the first epochs of a training that was begun for so many."""
    training = recipe(options, epochs=epochs, evaluate_every=epochs)
    ends: list[float] = []
    seen: list[float] = []

    def at_step(step: Step) -> None:
        seen.append(time.perf_counter())
        if step.step == step.steps:  # its loss was read, so the GPU is done
            ends.append(time.perf_counter())

    outputs = Outputs(on_step=at_step, on_epoch=lambda epoch: epoch.epoch < _TIMED)
    began = time.perf_counter()
    train(detector(options, data), data, training, device=CUDA, seed=0, outputs=outputs)
    each = len(seen) // _TIMED
    later = [1000 * (end - start) / each for start, end in pairwise(ends[2:])]
    print(f"  {epochs} epochs: first step after {seen[0] - began:.2f} s, first epoch {ends[0] - began:.2f} s")
    spread = f"{min(later):.1f} to {max(later):.1f}"
    print(f"  nars: {np.median(later):.1f} ms a step in epochs 4 to 6 ({spread}), {each} steps each")


def bare(options: argparse.Namespace, data: CocoData) -> tuple[float, float]:
    """Milliseconds of a step of the same network on a batch that is on the GPU, eager and captured."""
    trainer = Trainer(detector(options, data), data, recipe(options), CUDA, seed=0)
    model = trainer.model.train()
    batch: Batch = trainer.feed.assemble(*next(iter(trainer.feed)))
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, fused=True)

    def step() -> Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.stack(list(model(batch).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    eager, captured = seconds_of(step, optimizer)
    return 1000 * eager, 1000 * captured


def waits(options: argparse.Namespace, data: CocoData) -> None:
    """How often an unrecorded step waits for the GPU, and the kernels and time of one."""
    trainer = Trainer(detector(options, data), data, recipe(options), CUDA, seed=0)
    trainer.model.train()
    inputs = next(iter(trainer.feed))
    step = trainer.step
    for _ in range(2):
        step._eager(*inputs)
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step._eager(*inputs)
    torch.cuda.set_sync_debug_mode("default")
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as profile:
        step._eager(*inputs)
        torch.cuda.synchronize()
    averages = profile.key_averages()
    kernels = [event for event in averages if event.device_type.name == "CUDA"]
    busy = sum(event.self_device_time_total for event in kernels) / 1000
    print(f"  waits {len(caught)}, kernels {sum(event.count for event in kernels)}, GPU busy {busy:.1f} ms")
    for event in sorted(kernels, key=lambda event: -event.self_device_time_total)[:15]:
        print(f"    {event.self_device_time_total / 1000:7.2f} ms {event.count:5d} {event.key[:90]}")
    for warning in caught[:5]:
        print(f"    {warning.filename}:{warning.lineno}")


def trained(options: argparse.Namespace, data: CocoData) -> None:
    """Seconds and AP of whole trainings that are measured after every epoch."""
    device = torch.device(options.device)
    for seed in options.seeds:
        began = time.perf_counter()
        model = detector(options, data, seed)
        result = train(model, data, recipe(options), device=device, seed=seed)
        seconds = time.perf_counter() - began
        scores = result.evaluation.boxes
        losses = result.history[-1].losses["loss"]
        print(
            f"  seed {seed}: {options.epochs} epochs in {seconds:.1f} s, AP {scores.ap:.3f},"
            f" AP50 {scores.ap50:.3f}, last loss {losses:.3f}",
            flush=True,
        )


def search(options: argparse.Namespace, _: CocoData) -> None:
    """Candidates a minute in a search by AP."""
    report_search("by AP", options.workers, task="detection", data=options.data, budget=options.budget)


if __name__ == "__main__":
    main()
