"""Exports networks of a search with the weights that it has kept."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from optuna.study import Study

from nars.errors import RunError
from nars.networks.export import Exported, export
from nars.networks.weights import load_weights
from nars.runs.run import Run
from nars.searching.confirm import Measured
from nars.searching.results import best_candidate, winner
from nars.spec import Candidate
from nars.workers.weights import BEST, FRONT, REFERENCE, find_weights

__all__ = ["exported"]


def exported(
    run: Run,
    study: Study,
    measured: Measured,
    form: str,
    output: Path,
    random_weights: bool,
    limits: Mapping[str, float] = MappingProxyType({}),
) -> Exported:
    """Write the network of a measured candidate with its trained weights, or random ones if asked for.

    The candidate is the best within `limits` or, without any, one of the front. Raises `RunError` with the
    remedy if the run has no weights of it.
    """
    config, best = run.config, best_candidate(run.config, measured)
    shape = "--random-weights exports its shape only"
    if not isinstance(best, Candidate) or (config.task != "classification" and not random_weights):
        is_best = measured == winner(study, run.config)
        weights = run.folder / (BEST if is_best else f"{FRONT}/trial{measured.numbers[0]}.pt")
        words = ["nars", "detect", "export", weights, "--format", form, "-o", output]
        command = shlex.join(map(str, words))
        hint = f"; {shape}" if isinstance(best, Candidate) else ""
        raise RunError(f"{run.folder} has no classifiers: {command}{hint}")
    if random_weights:
        return export(best, output, form, num_classes=config.space.num_classes)
    with TemporaryDirectory() as scratch:
        found = find_weights(run, study, measured, Path(scratch, "weights.pt"))
        if found is not None:
            return export(load_weights(found), output, form)
    remedy = _remedy(run, study, measured, limits)
    raise RunError(f"{run.folder} keeps no weights of trial {measured.numbers[0]}: {remedy}; {shape}")


def _remedy(run: Run, study: Study, measured: Measured, limits: Mapping[str, float]) -> str:
    """The commands that make the weights of a measured candidate."""
    reference = run.folder / REFERENCE
    parent = str(reference) if reference.exists() else run.config.init
    init = "" if parent == "none" else f" --init {shlex.quote(parent)}"
    if measured == winner(study, run.config):
        files = (shlex.quote(str(run.folder / file)) for file in ("best.yaml", BEST))
        return f"nars train {' -o '.join(files)}{init} makes them"
    name = f"trial{measured.numbers[0]}"
    run_option = f"--run {shlex.quote(str(run.folder))}"
    if limits:
        bounds = " ".join(f"--max-{each} {_amount(each, limit)}" for each, limit in limits.items())
        written = f"nars export best-arch {bounds} {run_option} -o {name}.yaml"
    else:
        written = f"nars export pareto --format yaml {run_option} -o . writes {name}.yaml"
    return f"{written}, then nars train {name}.yaml -o {name}.pt{init} and nars export {name}.pt"


def _amount(name: str, limit: float) -> str:
    return f"{1000 * limit:.12g}ms" if name == "latency" else f"{limit:.12g}"
