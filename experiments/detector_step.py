"""How much CPU time does a training step of a detector take on one thread, and where does it go?

    python -m experiments.detector_step --profile

Times forward pass, backward pass and optimizer on one random batch: the median of some steps, after one that
is not counted. Uses only what version 0.1 has, too, so the file can be copied beside its code and run there;
compare only runs that alternate on one machine. Costs half a minute.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from detector.assembly import build
from detector.model.catalogue import published_settings
from detector.training.plan import CPU_SETTINGS
from nars.training.passes import widened

CPU = torch.device("cpu")


def main() -> None:
    """Print CPU seconds per image, and with ``--profile`` the operators that take most of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", default="fbnetv3a_dsmask_c4")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = published_settings(options.arch).replace(**CPU_SETTINGS, resize_in_training=False)
    model = build(options.arch, 3, settings=settings).train().to(memory_format=torch.channels_last)
    images = [torch.rand(3, 224, 299) for _ in range(options.batch)]
    targets = [objects() for _ in images]
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, nesterov=True, fused=True)

    def step() -> float:
        began = time.process_time()
        losses = model(images, targets)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        return time.process_time() - began

    with widened(model, CPU):
        step()
        seconds = [step() for _ in range(options.steps)]
        median = statistics.median(seconds) / options.batch
        low, high = min(seconds) / options.batch, max(seconds) / options.batch
        print(f"{options.arch}: {median:.3f} CPU seconds per image and step ({low:.3f} to {high:.3f})")
        if options.profile:
            with profile(activities=[ProfilerActivity.CPU]) as profiled:
                step()
            averages = profiled.key_averages()
            print(averages.table(sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=60))


def objects(count: int = 12, height: int = 224, width: int = 299) -> dict[str, Tensor]:
    """Random boxes of random classes, as many as a blood smear has."""
    corners = torch.rand(count, 2) * torch.tensor([width - 70.0, height - 70.0])
    boxes = torch.cat([corners, corners + 20 + 50 * torch.rand(count, 2)], dim=1)
    return {"boxes": boxes, "labels": torch.randint(1, 4, (count,))}


if __name__ == "__main__":
    main()
