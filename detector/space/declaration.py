"""The part of a space of detectors that decoding, encoding and counting read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from detector.space.styles import Style
from nars.space.decoding import OpenOrFixed
from nars.space.rows import RowSpace
from nars.space.values import Value

__all__ = ["Declaration"]


class Declaration(OpenOrFixed, Protocol):
    """The fields of a `detector.space.space.DetectorSpace`."""

    @property
    def name(self) -> str: ...

    @property
    def num_classes(self) -> int: ...

    @property
    def styles(self) -> Mapping[str, Style]: ...

    @property
    def norm_eps(self) -> float: ...

    @property
    def norm_momentum(self) -> float: ...

    @property
    def trunk(self) -> tuple[tuple[RowSpace, ...], ...]: ...

    @property
    def rpn(self) -> tuple[RowSpace, ...]: ...

    @property
    def box(self) -> tuple[RowSpace, ...]: ...

    @property
    def mask(self) -> tuple[RowSpace, ...]: ...

    @property
    def recipe(self) -> Mapping[str, Value]: ...

    @property
    def lr_factor(self) -> Mapping[Any, float]: ...
