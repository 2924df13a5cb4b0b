"""Everything that nars writes about a study, typed, so that workers and restarts need only the storage.

Only this module spells the keys of a study's *user attributes*, except for those that name files:
`nars.trials` spells these, for trials and studies alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna.study import Study, StudySummary

from nars.internals import set_study_attribute, study_attribute
from nars.trials import Record

__all__ = [
    "StoreLocation",
    "class_names",
    "code_version_of",
    "config_text",
    "data_description",
    "foretold_samples",
    "foretold_seconds",
    "latency_samples",
    "parent_fingerprint",
    "reference_record",
    "sampler_seed",
    "store_location",
    "write_class_names",
    "write_code_version",
    "write_config_text",
    "write_data_description",
    "write_foretold_samples",
    "write_latency_samples",
    "write_parent_fingerprint",
    "write_reference_record",
    "write_sampler_seed",
    "write_store_location",
]

_CONFIG = "config"
"""The search as YAML, so a worker needs nothing but the storage."""

_REFERENCE = "reference"
"""The record of the fine-tuning of its parent."""

_CLASSES = "classes"
"""Names of the classes, for the rows of its trials' confusion matrices."""

_CODE = "code"
"""Version of nars, with a digest of its sources, that started or continued it last."""

_DATA = "data"
"""A line about its data, for workers that have others."""

_LATENCY_SAMPLES = "latency_samples"
"""Genotype rows and seconds that its latency model learns from."""

_FORETOLD_SAMPLES = "foretold_samples"
"""Genotypes and what their task foretells of them before a training."""

_FORETOLD_SECONDS = "foretold_seconds"
"""The time in which these were measured."""

_PARENT = "parent"
"""The digest of the parent that its candidates inherit from as it is."""

_SAMPLER_SEED = "nars_sampler_seed"
"""The seed that a sampler without one has drawn."""

_STORE = "artifact_store"
"""The location of its store of files, and whether that is in the run folder."""


@dataclass(frozen=True)
class StoreLocation:
    """The location of a search's store of files, as its study records it."""

    location: str
    """A folder, or a URL such as ``s3://bucket/prefix``."""
    in_run: bool
    """Whether it is the folder ``artifacts`` of the run folder, wherever that is now."""


def config_text(study: Study | StudySummary) -> str | None:
    """Return the configuration of a study's search as YAML; None if nars did not make the study."""
    text: str | None = study.user_attrs.get(_CONFIG)
    return text


def write_config_text(study: Study, text: str) -> None:
    """Store the configuration of a search in its study."""
    study.set_user_attr(_CONFIG, text)


def reference_record(study: Study) -> Record | None:
    """Return the record of the fine-tuning of a search's parent; None before it is done, or without one."""
    attributes: dict[str, Any] | None = study.user_attrs.get(_REFERENCE)
    return None if attributes is None else Record.from_attributes(attributes)


def write_reference_record(study: Study, record: Record) -> None:
    """Store the record of the fine-tuning of a search's parent."""
    study.set_user_attr(_REFERENCE, record.attributes)


def parent_fingerprint(study: Study) -> str | None:
    """Return the digest of the parent that candidates inherit from as it is; None if it was not written."""
    digest: str | None = study.user_attrs.get(_PARENT)
    return digest


def write_parent_fingerprint(study: Study, digest: str) -> None:
    """Store the digest of the parent of a search, for every worker and every restart."""
    study.set_user_attr(_PARENT, digest)


def class_names(study: Study) -> list[str] | None:
    """Return the names of the classes; None if they were not written."""
    names: list[str] | None = study.user_attrs.get(_CLASSES)
    return names


def write_class_names(study: Study, names: Sequence[str]) -> None:
    """Store the names of the classes in a study."""
    study.set_user_attr(_CLASSES, list(names))


def data_description(study: Study) -> str | None:
    """Return a line about the data of a search; None if it was not written."""
    line: str | None = study.user_attrs.get(_DATA)
    return line


def write_data_description(study: Study, line: str) -> None:
    """Store a line about the data of a search."""
    study.set_user_attr(_DATA, line)


def code_version_of(study: Study) -> str | None:
    """Return the version of the code that runs a search; None if an earlier version began it."""
    text: str | None = study.user_attrs.get(_CODE)
    return text


def write_code_version(study: Study, version: str) -> None:
    """Store the version of the code that runs a search from now on."""
    if code_version_of(study) != version:
        study.set_user_attr(_CODE, version)


def latency_samples(study: Study) -> list[tuple[list[float], float | None]]:
    """Return pairs of a genotype row [d] and its measured seconds, as far as they are measured.

    Those of a candidate that could not be timed are None.
    """
    return [(row, seconds) for row, seconds in study.user_attrs.get(_LATENCY_SAMPLES, [])]


def write_latency_samples(study: Study, samples: Sequence[tuple[Sequence[float], float | None]]) -> None:
    """Store the samples of a latency model in its study, for every worker and every restart."""
    study.set_user_attr(_LATENCY_SAMPLES, [[list(row), seconds] for row, seconds in samples])


def foretold_samples(study: Study) -> list[tuple[dict[str, Any], float]] | None:
    """Return pairs of a genotype and what its task foretells of it; None before they are measured."""
    samples: list[tuple[dict[str, Any], float]] | None = study.user_attrs.get(_FORETOLD_SAMPLES)
    return samples


def foretold_seconds(study: Study) -> float:
    """Return how long the workers measured what their task foretells; 0 before they did."""
    seconds: float = study.user_attrs.get(_FORETOLD_SECONDS, 0.0)
    return seconds


def write_foretold_samples(
    study: Study, samples: Sequence[tuple[Mapping[str, Any], float]], seconds: float
) -> None:
    """Store what a task foretells, measured in `seconds`, for every worker and every restart."""
    study.set_user_attr(_FORETOLD_SECONDS, round(seconds, 3))
    study.set_user_attr(_FORETOLD_SAMPLES, [[dict(genotype), value] for genotype, value in samples])


def store_location(study: Study) -> StoreLocation | None:
    """Return the location of a study's store; None before there is one."""
    attribute: dict[str, Any] | None = study.user_attrs.get(_STORE)
    return None if attribute is None else StoreLocation(attribute["location"], attribute["in_run"])


def write_store_location(study: Study, location: StoreLocation) -> None:
    """Store the location of a study's files, for workers that know only the storage."""
    study.set_user_attr(_STORE, asdict(location))


def sampler_seed(study: Study) -> int | None:
    """Return the seed that a sampler has drawn for a study; None before it has."""
    seed: int | None = study_attribute(study, _SAMPLER_SEED)
    return seed


def write_sampler_seed(study: Study, seed: int) -> None:
    """Store the seed of a sampler, for every worker and every restart."""
    set_study_attribute(study, _SAMPLER_SEED, seed)
