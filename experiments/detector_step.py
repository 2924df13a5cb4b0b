"""How much CPU time does a training step of a detector take on one thread, and where does it go?

    python -m experiments.detector_step --profile

Times forward pass, backward pass and optimizer on one random batch: the median of some steps, after one that
is not counted. ``--profile`` adds the share of each kind of operator, and the time that the
multiply-accumulates of the pointwise convolutions would take at the rate of a large matrix product on this
machine, which no faster code can go below. Uses only what version 0.1 has, too, so the file can be copied
beside its code and run there; compare only runs that alternate on one machine. Costs half a minute.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
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
            with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
                step()
            for kind, share in shares(profiled).items():
                print(f"{share:6.1%}  {kind}")
            macs = pointwise_macs(model, images, targets) / options.batch
            floor = 3 * macs / matrix_rate()  # forward pass, gradients of maps and of weights
            print(f"{floor:.3f} seconds for {macs / 1e6:.0f} M MACs of pointwise convolutions, three times")


def shares(profiled: profile) -> dict[str, float]:
    """The share of a profiled step that each kind of operator takes, the largest first."""
    seconds: dict[str, float] = defaultdict(float)
    for entry in profiled.key_averages(group_by_input_shape=True):
        seconds[kind_of(entry.key, entry.input_shapes)] += entry.self_cpu_time_total
    whole = sum(seconds.values())
    return {kind: seconds[kind] / whole for kind in sorted(seconds, key=lambda kind: -seconds[kind])}


def kind_of(name: str, shapes: Sequence[Sequence[int]]) -> str:
    """The kind of an operator, by its name and the shapes of its inputs."""
    if "conv" in name:
        weights = [shape for shape in shapes if len(shape) == 4 and shape[2:] in ([1, 1], [3, 3], [5, 5])]
        kernel = next((shape for shape in weights[::-1] if shape[1] == 1 or shape[2] == 1), None)
        if kernel is None:
            return "other convolutions"
        return "pointwise convolutions" if kernel[2] == 1 else "depthwise convolutions"
    kinds = {"norm": ("batch_norm",), "activations": ("threshold", "clamp_min", "relu")}
    return next((kind for kind, words in kinds.items() if any(word in name for word in words)), "the rest")


def pointwise_macs(model: nn.Module, images: list[Tensor], targets: list[dict[str, Tensor]]) -> int:
    """Multiply-accumulates of the 1x1 convolutions in a forward pass of the batch."""
    total = 0

    def add(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += output.numel() * layer.weight[0].numel()

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    handles = [layer.register_forward_hook(add) for layer in layers if layer.kernel_size == (1, 1)]
    with torch.no_grad():
        model(images, targets)
    for handle in handles:
        handle.remove()
    return total


def matrix_rate() -> float:
    """Multiply-accumulates per CPU second of a product of large matrices; the best of ten."""
    left, right = torch.rand(4096, 512), torch.rand(512, 512)
    seconds = []
    for _ in range(10):
        began = time.process_time()
        left @ right
        seconds.append(time.process_time() - began)
    return left.numel() * right.shape[1] / min(seconds)


def objects(count: int = 12, height: int = 224, width: int = 299) -> dict[str, Tensor]:
    """Random boxes of random classes, as many as a blood smear has."""
    corners = torch.rand(count, 2) * torch.tensor([width - 70.0, height - 70.0])
    boxes = torch.cat([corners, corners + 20 + 50 * torch.rand(count, 2)], dim=1)
    return {"boxes": boxes, "labels": torch.randint(1, 4, (count,))}


if __name__ == "__main__":
    main()
