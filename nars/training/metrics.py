"""Metrics that score a classifier: by name, or a function of the user's own.

``module:function`` names a function of the labels, int64 [N], and the probabilities, float64 [N, K], of a
split's images. It returns a number, and larger is better. The module is imported from the current folder,
as ``python -m`` does, or from the installed packages. This file imports nothing heavy, so names
are checked before anything else is done.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from nars.errors import TrialError, UsageError, closest

__all__ = [
    "ACCURACY",
    "METRICS",
    "Metric",
    "check_name",
    "check_repeated",
    "is_function",
    "is_metric",
    "named",
]

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")
"""Metrics by name; `nars.training.evaluation.Metrics` has a field for each."""

_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""The way a function is named: its module, a colon, its name."""

_OWN = "module:function"
"""Words for a function in messages."""


@dataclass(frozen=True)
class Metric:
    """A score of a network on a split; larger is better."""

    name: str
    function: Callable[[Any, Any], Any] | None = None
    """Function of labels [N] and probabilities [N, K]; None for one of `METRICS`."""
    order: tuple[int, ...] = ()
    """The number by which the function knows class k of the data; empty if that is k."""

    def score(self, labels: Any, probabilities: Any, split: str) -> float:
        """Call the function for a split. Raises `TrialError` in one line if it returns no finite number."""
        assert self.function is not None, f"{self.name} is computed with the other metrics"
        try:
            value = self.function(*self._ordered(labels, probabilities))
        except (Exception, SystemExit) as error:
            raise TrialError(f"metric {self.name} failed on {split}: {_where(error, self._file)}") from None
        return self._number(value, split)

    def _ordered(self, labels: Any, probabilities: Any) -> tuple[Any, Any]:
        """The labels and probabilities of classes in the order that the function knows."""
        if not self.order:
            return labels, probabilities
        import numpy as np

        return np.take(self.order, labels), probabilities[:, np.argsort(self.order)]

    def _number(self, value: Any, split: str) -> float:
        try:
            number = math.nan if isinstance(value, str | bytes) else float(value)
        except Exception:  # such as an array of several values
            number = math.nan
        if not math.isfinite(number):
            raise TrialError(f"metric {self.name} returned {_short(value)} on {split}, not a finite number")
        return number

    @property
    def _file(self) -> str | None:
        return getattr(getattr(self.function, "__code__", None), "co_filename", None)


ACCURACY = Metric("accuracy")
"""The metric of a classification that names no other."""


def is_function(name: str) -> bool:
    """Whether a metric's name is that of a function, so that computing it runs code."""
    return ":" in name


def is_metric(name: str | None) -> bool:
    """Whether `name` is one of `METRICS`, or a function's."""
    return name is not None and (name in METRICS or is_function(name))


def check_name(name: str) -> None:
    """Raise `UsageError` unless `name` is a metric's or has the form of a function's; imports nothing."""
    if name in METRICS:
        return
    if not is_function(name):
        raise UsageError(f"no metric {name!r}: {closest(name, METRICS)} (or {_OWN})")
    if name.partition(":")[0].endswith(".py"):
        meant = name.replace(".py:", ":").replace("/", ".")
        raise UsageError(f"metric {name!r} names a file, not a module: did you mean {meant!r}?")
    if not _FUNCTION.fullmatch(name):
        raise UsageError(f"metric {name!r} is neither a name nor {_OWN}, such as my_metrics:cost")


def check_repeated(name: str, given: str | None, where: str) -> None:
    """Raise `UsageError` for a function that only a run names, since the run may come from a stranger.

    `name` is the metric of the run, `where` names the run in messages, and `given` is the metric of the
    command, if any. Two different metrics are refused, too.
    """
    if is_function(name) and given is None:
        raise UsageError(f"{where} is scored by code, {name}: repeat --metric {name} if you trust that code")
    if given is not None and given != name:
        raise UsageError(f"{where} is scored by {name}, got --metric {given}")


def named(name: str) -> Metric:
    """The metric of that name; a function's module is imported. Raises `UsageError`."""
    check_name(name)
    if name in METRICS:
        return Metric(name)
    module_name, _, function_name = name.partition(":")
    module = _imported(module_name, name)
    function = getattr(module, function_name, None)
    home = getattr(module, "__file__", None) or module_name
    if function is None:
        own = [each for each, value in vars(module).items() if callable(value) and each[0] != "_"]
        hint = closest(function_name, own) if own else "it has none"
        raise UsageError(f"metric {name}: no function {function_name!r} in {home}: {hint}")
    if not callable(function):
        raise UsageError(f"metric {name}: {function_name} in {home} is not a function")
    _check_arguments(function, name, home)
    return Metric(name, function)


def _imported(module: str, name: str) -> ModuleType:
    """Import a module from the current folder or the packages. Raises `UsageError` in one line."""
    folder = str(Path.cwd())
    if not {folder, ""} & set(sys.path):
        sys.path.insert(0, folder)
    try:
        return import_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            where = f"neither in {folder} nor among the installed packages"
            raise UsageError(f"metric {name}: no module {error.name!r}, {where}") from None
        reason = _where(error, str(Path(folder, *module.split(".")).with_suffix(".py")))
        raise UsageError(f"metric {name}: importing {module} failed: {reason}") from None


def _check_arguments(function: Callable[..., Any], name: str, home: str) -> None:
    """Raise `UsageError` for a function that cannot be called with labels and probabilities."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of some compiled functions
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        code = getattr(function, "__code__", None)
        place = f"{code.co_filename}, line {code.co_firstlineno}" if code else home
        wanted = "a metric takes labels [N] and probabilities [N, K]"
        raise UsageError(f"metric {name} is defined with {signature} ({place}): {wanted}; {error}") from None


def _where(error: BaseException, file: str | None) -> str:
    """Name an error, and the last line of the user's `file` that led to it, or else the last not of ours."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if frame.filename == file] or frames[-1:]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f" ({error.filename}, line {error.lineno})"
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {_short(said)}{place}" if said else f"{type(error).__name__}{place}"


def _short(value: Any) -> str:
    """A value in a few words of one line."""
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= 120 else f"{text[:117]}..."
