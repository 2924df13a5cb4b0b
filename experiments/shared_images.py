"""How much memory does a search take whose workers share the decoded images, and how fast are they decoded?

    python -m experiments.shared_images --data photos/ [--code CHECKOUT]

Runs `nars search` with two workers on a folder of class folders, in a small space with the resolutions of
`mobile`, and
adds up the memory of its three processes five times a second (PSS of Linux: a page that k processes share
counts as 1/k for each). Prints the largest sum, the median sum in the second half of the time, and how much
of that is mapped files (the shared images, and programs), which the system may drop and read again. Then
opens the data twice in a fresh process, with an empty cache and with the one that this left. `--code` takes
the program from another checkout, such as one of an older version.

Costs a minute or two on two cores. Expected: the images count once instead of once for each process and
each resolution, and all but the first process open them in a fraction of the time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SPACE = """
kind: space
schema: 1
name: small
resolution: {low: 96, high: 224, step: 32}
stages:
- - {name: stem, op: conv, kernel: 3, channels: [2, 4], stride: 2}
- - {name: body, op: mbconv, kernel: [3, 5], expansion: 1, channels: [4, 8], stride: 2}
recipe:
  epochs: 1
  lr: {low: 0.02, high: 0.3, log: true}
"""
"""A space whose candidates train in seconds."""

_OPEN = """
import sys, time
from nars.data import load
start, before = time.perf_counter(), time.process_time()
data = load(sys.argv[1])
seconds, cpu = time.perf_counter() - start, time.process_time() - before
count = sum(len(data.split(name)) for name in ("train", "val", "test"))
print(f"{count} images in {seconds:.2f} s, {cpu:.2f} s of a core: {count / cpu:.0f} per second of a core")
"""
"""A program that opens the data and says how fast."""


def memory(family: list[psutil.Process]) -> tuple[float, float]:
    """The sums of PSS and of the part of it that is files, over processes, in MB."""
    whole = files = 0
    for process in family:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
            whole += sizes["Pss"]
            files += sizes["Pss_File"]
    return whole / 1024, files / 1024


def watch(command: list[str], folder: Path, environment: dict[str, str]) -> list[tuple[float, float]]:
    """Run a command in a folder; the memory of it and its children, five times a second."""
    samples = []
    with (folder / "output.txt").open("w") as output:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                samples.append(memory([process, *process.children(recursive=True)]))
            time.sleep(0.2)
    assert process.returncode == 0, (folder / "output.txt").read_text()
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of class folders")
    parser.add_argument("--code", type=Path, default=Path.cwd(), help="a checkout of nars")
    parser.add_argument("--budget", type=int, default=12, help="trials")
    arguments = parser.parse_args()
    data = str(arguments.data.resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "space.yaml").write_text(SPACE)
        changes = {"PYTHONPATH": str(arguments.code.resolve()), "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, **changes, "NARS_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "nars", "search", "--space", "space.yaml", "--data", data]
        command += [
            "--workers",
            "2",
            "--budget",
            str(arguments.budget),
            "--run",
            "run",
            "--no-early-stopping",
        ]
        start = time.perf_counter()
        samples = watch(command, folder, environment)
        print(f"{arguments.budget} trials in {time.perf_counter() - start:.0f} s")
        late = samples[len(samples) // 2 : -5]
        print(f"largest sum of PSS: {max(pss for pss, _ in samples):.0f} MB")
        middle = [statistics.median(values) for values in zip(*late, strict=True)]
        print(f"in the second half: {middle[0]:.0f} MB, of which {middle[1]:.0f} MB are files")
        for cache in ("fresh", "cache"):
            opened = [sys.executable, "-c", _OPEN, data]
            environment["NARS_CACHE"] = str(folder / cache)
            result = subprocess.run(opened, env=environment, check=True, capture_output=True, text=True)
            print(f"{cache}: {result.stdout.strip()}")


if __name__ == "__main__":
    main()
