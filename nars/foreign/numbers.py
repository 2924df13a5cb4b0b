"""Numbers as other programs write them: ``1.0`` and ``"1"`` for 1; anything else is named in words."""

from __future__ import annotations

import re

__all__ = ["real", "whole"]

_WHOLE = re.compile(r"[+-]?\d{1,18}(?:\.0*)?(?:[eE]\+?0+)?")
"""Text of a whole number, with or without a fraction of zeros, as NumPy writes ``0.000000000e+00``."""

_LARGEST = 2**63
"""Whole numbers at least as large as this are refused, as files of results cannot hold them."""


def whole(value: object, name: str) -> int:
    """A whole number from a number or text. Raises `ValueError` that names it as `name`."""
    if type(value) is int and -_LARGEST < value < _LARGEST:
        return value  # as nearly all are, of which there may be millions
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        number = int(float(value)) if "e" in value.lower() else int(value.strip().partition(".")[0])
    if number is None:
        raise ValueError(f"{name} is {_shown(value)}, not a whole number")
    if abs(number) >= _LARGEST:
        raise ValueError(f"{name} has {len(str(abs(number)))} digits, which is too large")
    return number


def real(value: object, name: str) -> float:
    """A number from a number or text. Raises `ValueError` that names it as `name`.

    NaN and infinities pass, since what they mean depends on the field.
    """
    if type(value) is float:
        return value  # as nearly all are, of which there may be millions
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name} is {_shown(value)}, not a number")
    try:
        if isinstance(value, str) and "_" in value:  # Python reads 1_000
            raise ValueError
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} has {len(str(abs(int(value))))} digits, which is too large") from None
    except ValueError:
        comma = isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d*,\d+\s*", value)
        remedy = ": write a point in the place of the comma" if comma else ""
        raise ValueError(f"{name} is not a number: {_shown(value)}{remedy}") from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
