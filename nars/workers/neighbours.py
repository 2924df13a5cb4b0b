"""How many candidates train side by side on one GPU: as many as the first one leaves time and memory for.

    python -m nars.workers.neighbours CONFIG MOST

measures it for the configuration of a search in a process of its own, which leaves the GPU as it found it,
and prints the number. A GPU's own count of its use says nothing: a network of small kernels keeps it "busy"
all the time.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from nars.errors import TrialError
from nars.runs.config import SearchConfig
from nars.space import genotypes
from nars.spec import Trainable
from nars.tasks.base import Task

__all__ = ["neighbours", "typical"]

_SAMPLED = 64
"""Random candidates of which the typical one is taken."""

_GAIN = 1.2
"""How much more the steps of twice as many candidates have to be, all together, to be worth it."""

_MARGIN = 3
"""Memory that a candidate may take, as a multiple of what steps of the typical one take: others are larger,
and measurements on val come between the steps."""

_CONTEXT = 1e9
"""Bytes that a process takes on a GPU beside its tensors: its context, kernels and libraries."""

_FREE = 0.9
"""Share of the free memory that workers may take."""

_WARM, _SECONDS = 6, 0.2
"""Steps of each candidate before its steps are timed, in which they are recorded; seconds of timing."""

_PATIENCE_SECONDS = 15.0
"""Seconds after the first candidate was timed in which more are added; detectors take long to set up."""


def neighbours(task: Task, candidate: Trainable, most: int) -> int:
    """Return how many trainings of `candidate` are worth running side by side on the task's GPU.

    They are `most` at most. Doubles their number as long as that makes a fifth more steps in the same time,
    memory suffices, and it takes no longer than a user would wait. Returns 1 for a task that cannot rehearse.
    Raises `TrialError` if not even one fits.
    """
    streams: list[torch.cuda.Stream] = []
    steps: list[Callable[[], object]] = []
    count, rate, end = 1, 0.0, math.inf
    while count <= most and time.monotonic() < end:
        try:
            for _ in range(count - len(steps)):
                streams.append(torch.cuda.Stream(task.device))
                step = task.rehearse(candidate)
                if step is None:
                    return 1
                steps.append(step)
            now = _steps_a_second(steps, streams)
        except (TrialError, torch.OutOfMemoryError):
            if count == 1:
                raise
            break
        if count > 1 and now < _GAIN * rate:
            break
        rate, end = now, min(end, time.monotonic() + _PATIENCE_SECONDS)
        most = min(most, count + _rest(task.device, count))
        count *= 2
    return max(1, count // 2)


def _rest(device: torch.device, count: int) -> int:
    """How many more processes have room in memory, by what each of the `count` trainings here takes."""
    free, _ = torch.cuda.mem_get_info(device)
    each = _CONTEXT + _MARGIN * torch.cuda.memory_reserved(device) / count
    return int(_FREE * free / each)


def _steps_a_second(steps: list[Callable[[], object]], streams: list[torch.cuda.Stream]) -> float:
    """Steps a second of all trainings together, each on a stream of its own."""

    def rounds(number: int) -> float:
        began = time.perf_counter()
        for _ in range(number):
            for step, stream in zip(steps, streams, strict=True):
                with torch.cuda.stream(stream):
                    step()
        torch.cuda.synchronize(streams[0].device)
        return time.perf_counter() - began

    rounds(_WARM)
    number = max(3, math.ceil(3 * _SECONDS / max(rounds(3), 1e-4)))
    return number * len(steps) / rounds(number)


def typical(config: SearchConfig) -> Trainable:
    """The candidate with the median work per step among random ones of the space, within `config`'s limit."""
    space = config.space
    matrix = genotypes.sample(space, _SAMPLED, np.random.default_rng(0))
    macs = space.statistics(matrix)["macs"]
    limit = max(config.limits.get("macs", math.inf), macs.min())
    fitting = matrix[macs <= limit]
    candidates = [space.decode(genotype) for genotype in genotypes.to_genotypes(space, fitting)]
    work = macs[macs <= limit] * [candidate.recipe.batch_size for candidate in candidates]
    return candidates[int(np.argsort(work)[len(work) // 2])]


def main() -> None:
    """Measure for the configuration in a file, and print the number."""
    config, most = SearchConfig.load(sys.argv[1]), int(sys.argv[2])
    task = config.open_task()
    with torch.cuda.device(task.device):
        print(neighbours(task, typical(config), most))


if __name__ == "__main__":
    main()
