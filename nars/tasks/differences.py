"""Says how the spaces and references of two searches differ, in words of their files and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from nars.space.base import SearchSpace
from nars.tasks.reference import FineTuning

__all__ = ["epochs_of", "reference_difference", "space_difference"]

_SHOWN = 3
"""Differences, and choices of a value, that a clause names."""

_ABSENT = "absent"
"""The word for a value that one of two searches does not have."""


def space_difference(old: SearchSpace, new: SearchSpace) -> str:
    """A clause that names the first few dimensions in which two spaces differ."""
    before, after = (
        {"num_classes": space.num_classes, **space.distributions, **space.fixed} for space in (old, new)
    )
    which = f"space {old.name} has changed" if old.name == new.name else f"space {old.name} is not {new.name}"
    return f"{which}: {_listed(before, after) or 'its structure'}"


def reference_difference(old: FineTuning | None, new: FineTuning | None) -> str:
    """A clause that says how the fine-tuning of a parent differs: in its epochs, or else in what."""
    before, after = epochs_of(old), epochs_of(new)
    if before != after:
        return f"reference epochs were {before}, now {after}: --reference-epochs {before} restores it"
    fields = ({} if settings is None else _flat(settings.model_dump()) for settings in (old, new))
    return f"of the reference {_listed(*fields)}"


def epochs_of(reference: FineTuning | None) -> int:
    """The number that ``--reference-epochs`` asks for a fine-tuning with."""
    return 0 if reference is None else reference.epochs


def _listed(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The first few names whose values differ, and how many more there are."""
    names = [name for name in before | after if before.get(name, _ABSENT) != after.get(name, _ABSENT)]
    shown = ", ".join(
        f"{name} was {_words(before.get(name, _ABSENT))}, now {_words(after.get(name, _ABSENT))}"
        for name in names[:_SHOWN]
    )
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields by their names with points in between."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _words(value: Any) -> str:
    """A value of a space, fixed or open, in the words of its file."""
    if isinstance(value, IntDistribution | FloatDistribution):
        step = "" if value.step in (None, 1) else f" step {value.step}"
        return f"{value.low} to {value.high}{step}{' log' if value.log else ''}"
    if isinstance(value, CategoricalDistribution):
        more = f" and {len(value.choices) - _SHOWN} more" if len(value.choices) > _SHOWN else ""
        return f"[{', '.join(map(_words, value.choices[:_SHOWN]))}{more}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
