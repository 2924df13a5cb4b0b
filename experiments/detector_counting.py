"""Are the costs of detectors in closed form those of the built ones, and how fast are they counted?

    OMP_NUM_THREADS=1 python -m experiments.detector_counting --detectors 500 --batch 100000

Half of the detectors come from the space ``fbnetv3od`` without a mask head and half with one; each is built
on the meta device, which allocates nothing, and counted by its own modules: MACs by the shapes that pass
through its convolutions and linear layers, parameters by their number. Costs two minutes of one core.
Expected: all equal.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch
from torch import Tensor, nn

from detector.model.detector import Detector
from detector.space.candidate import DetectorCandidate
from detector.space.space import DetectorSpace
from detector.space.spaces import DEFAULT, space
from nars.space.genotypes import sample, to_genotypes

CLASSES = 3
"""Classes of every detector, as many as the blood cells have."""


def main() -> None:
    """Print how many costs are equal, and the detectors counted per second; exit code 1 if any differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--detectors", type=int, default=500, help="detectors to build")
    parser.add_argument("--batch", type=int, default=100_000, help="genotypes to count at once")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    equal = 0
    for mask, count in ((False, (options.detectors + 1) // 2), (True, options.detectors // 2)):
        searched = space(DEFAULT).for_classes(CLASSES).segmenting(mask)
        equal += equal_costs(searched, count, options.seed)
        print(
            f"{DEFAULT}{' with masks' if mask else ''}: {speed(searched, options):.0f} detectors per second"
        )
    print(f"{equal} of {options.detectors} detectors have the MACs and parameters that were counted")
    sys.exit(equal != options.detectors)


def equal_costs(searched: DetectorSpace, count: int, seed: int) -> int:
    """How many of `count` random detectors, once built, have the cost in closed form."""
    matrix = sample(searched, count, np.random.default_rng(seed))
    known = searched.statistics(matrix)
    equal = 0
    for row, genotype in enumerate(to_genotypes(searched, matrix)):
        costs = built_costs(searched.decode(genotype))
        expected = int(known["macs"][row]), int(known["params"][row])
        if costs != expected:
            print(f"detector {row} of {searched.name}: built {costs}, counted {expected}", file=sys.stderr)
        equal += costs == expected
    return equal


@torch.no_grad()
def built_costs(candidate: DetectorCandidate) -> tuple[int, int]:
    """MACs and parameters of a detector, counted while shapes pass through it."""
    settings = candidate.settings
    with torch.device("meta"):
        model = Detector(candidate.architecture, CLASSES, settings).eval()
        total = 0

        def add(layer: nn.Module, _: object, output: Tensor) -> None:
            nonlocal total
            assert isinstance(layer, nn.Conv2d | nn.Linear), layer
            total += output.numel() * layer.weight[0].numel()

        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(add)
        maps = model.backbone(torch.empty(1, 3, max(settings.shortest), settings.longest))
        model.rpn.head(list(maps.values()))
        channels = next(iter(maps.values())).shape[1]
        heads = model.roi_heads
        side = settings.pooler_resolution
        heads.box_predictor(heads.box_head(torch.empty(settings.test_proposals, channels, side, side)))
        if settings.mask:
            side = settings.mask_pooler_resolution
            heads.mask_predictor(heads.mask_head(torch.empty(settings.detections, channels, side, side)))
    return total, sum(parameter.numel() for parameter in model.parameters())


def speed(searched: DetectorSpace, options: argparse.Namespace) -> float:
    """Detectors counted per second, in one batch; the best of three."""
    matrix = sample(searched, options.batch, np.random.default_rng(options.seed), quasi=False)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        searched.statistics(matrix)
        seconds.append(time.perf_counter() - began)
    return float(options.batch / min(seconds))


if __name__ == "__main__":
    main()
