"""A row of a space: blocks whose values are open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from nars.documents import Frozen
from nars.errors import SpecError
from nars.space.values import FirstRest, FirstRestValue, Value, as_numbers
from nars.spec import Block

__all__ = ["RowSpace", "row_space"]


class RowSpace(Frozen):
    """An open `nars.spec.Block` row; `depth` blocks, of which only the first has the stride."""

    later_fields: ClassVar[tuple[str, ...]] = ("bias",)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    op: Literal["conv", "mbconv", "mbpool"]
    channels: Value
    kernel: FirstRestValue = None
    expansion: FirstRestValue = None
    depth: Value = 1
    stride: Literal[1, 2, -2] = 1
    se: Value = "none"
    activation: Value = "hswish"
    padding: Value = None
    squeeze: Literal["input", "hidden"] = "input"
    depthwise: Literal["norm_act", "bare"] = "norm_act"
    bias: bool = True

    @field_validator("channels", "kernel", "expansion", "depth", mode="before")
    @classmethod
    def _of_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        return as_numbers(value, str(info.field_name))

    def values(self) -> Iterator[tuple[str, Value]]:
        """Every value, open or fixed, under its flat name."""
        for key in ("channels", "kernel", "expansion", "depth", "se", "activation", "padding"):
            value = getattr(self, key)
            if isinstance(value, FirstRest):
                yield f"{self.name}.{key}.first", value.first
                yield f"{self.name}.{key}.rest", value.rest
            else:
                yield f"{self.name}.{key}", value

    def rows(self, values: Mapping[str, Any]) -> list[Block]:
        """One row if all its blocks are equal, else the first block and the rest."""
        first, rest = self._block(values, "first"), self._block(values, "rest")
        depth = values[f"{self.name}.depth"]
        if depth == 1 or (first.kernel, first.expansion) == (rest.kernel, rest.expansion):
            return [first.replace(stride=self.stride, repeats=depth)]
        rest = rest.replace(repeats=depth - 1, padding=None)
        return [first.replace(stride=self.stride), rest]

    def _block(self, values: Mapping[str, Any], part: str) -> Block:
        def value(key: str) -> Any:
            name = f"{self.name}.{key}"
            return values[name] if name in values else values[f"{name}.{part}"]

        keys = ("channels", "kernel", "expansion", "se", "activation", "padding")
        values_of = {key: value(key) for key in keys}
        fixed = {key: getattr(self, key) for key in ("op", "squeeze", "depthwise", "bias")}
        return Block(**fixed, **values_of)


def row_space(name: str, row: Block) -> RowSpace:
    """The space with nothing open that holds exactly this row.

    Raises `SpecError` for a row that upsamples, which no space describes.
    """
    if row.stride == -2:
        raise SpecError("an architecture that upsamples cannot be searched around")
    fields = row.model_dump()
    return RowSpace(name=name, depth=fields.pop("repeats"), **fields)
