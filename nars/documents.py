"""Values that are validated when they are made, and YAML files of them.

A `Frozen` value cannot exist in a wrong state; a `Document` is one that is a file of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import yaml
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from nars.errors import SpecError, closest
from nars.foreign.limits import MOST_DOCUMENT, load_yaml
from nars.foreign.names import one_line
from nars.foreign.paths import read_bytes

__all__ = ["SCHEMA", "Document", "Frozen", "is_yaml", "kind_of", "read_text", "read_yaml"]

_MOST_SHOWN = 80
"""Characters of a wrong value that a message shows."""

SCHEMA = 1
"""Version of the files written here; a file of another one is refused."""


class Frozen(BaseModel):
    """An immutable value that refuses unknown keys, wrong types and broken rules.

    Raises `SpecError` with the rule, the value and, for an unknown key, the closest one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    later_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that younger versions added. A dump leaves them out at their defaults, so what is made from
    dumps, such as fingerprints and the identity of a checkpoint, stays that of older versions."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise SpecError(_explain(type(self), error)) from None

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        for name in self.later_fields:
            if getattr(self, name) == type(self).model_fields[name].default:
                fields.pop(name, None)
        return fields

    @classmethod
    def called(cls) -> str:
        """The word for such a value in messages."""
        return cls.__name__.lower()

    @classmethod
    def of(cls, fields: Any) -> Self:
        """Validate a mapping that was read from a file. Raises `SpecError`."""
        if not isinstance(fields, dict):
            raise SpecError(f"{cls.called()} is a mapping of names to values, got {_shown(fields)}")
        if not all(isinstance(name, str) for name in fields):
            raise SpecError(f"{cls.called()} has a key that is no name: {_shown(list(fields))}")
        return cls(**fields)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated like a new value."""
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | changes)


class Document(Frozen):
    """A value that has a file of its own: YAML with ``kind`` and ``schema`` at the top."""

    kind: ClassVar[str]

    def __str__(self) -> str:
        return self.to_yaml().rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Its file as a mapping: kind, schema, and the fields that do not have their default value."""
        return {"kind": self.kind, "schema": SCHEMA} | self.model_dump(mode="json", exclude_defaults=True)

    def to_yaml(self) -> str:
        """YAML of `to_dict` for people to read."""
        text: str = yaml.safe_dump(self.to_dict(), sort_keys=False, default_flow_style=None, width=120)
        return text

    @classmethod
    def from_yaml(cls, text: str, source: str = "text") -> Self:
        """Parse what `to_yaml` wrote. Raises `SpecError` that names `source`."""
        fields = _parse(text, source)
        _check_head(fields, cls.kind, source)
        try:
            return cls.of(fields)
        except SpecError as error:
            raise SpecError(f"{source}: {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `to_yaml` wrote. Raises `SpecError`."""
        return cls.from_yaml(read_text(path), str(path))


def is_yaml(name_or_file: str | Path) -> bool:
    """Whether this is the path of a YAML file rather than the name of something built in."""
    return Path(name_or_file).suffix.lower() in (".yaml", ".yml")


def kind_of(text: str, source: str) -> Any:
    """The ``kind`` that YAML text claims to be. Raises `SpecError` that names `source`."""
    return _parse(text, source).get("kind")


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file. Raises `SpecError`."""
    try:
        text = read_bytes(path, MOST_DOCUMENT).decode()
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SpecError(f"cannot read {path}: {reason}") from None


def read_yaml(path: str | Path, kind: str) -> dict[str, Any]:
    """The fields of a YAML file of `kind`, without its checked head. Raises `SpecError`."""
    fields = _parse(read_text(path), str(path))
    _check_head(fields, kind, str(path))
    return fields


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        fields = load_yaml(text)
    except ValueError as error:
        raise SpecError(f"{source}: not YAML: {error}") from None
    if not isinstance(fields, dict) or not all(isinstance(key, str) for key in fields):
        raise SpecError(f"{source}: expected a mapping of names to values")
    return fields


def _check_head(fields: dict[str, Any], kind: str, source: str) -> None:
    written, schema = fields.pop("kind", None), fields.pop("schema", None)
    if written != kind:
        raise SpecError(f"{source}: kind is {_shown(written)}, expected {kind!r}")
    if schema != SCHEMA:
        raise SpecError(f"{source}: schema is {_shown(schema)}, this version reads {SCHEMA}")


def _explain(cls: type[Frozen], error: ValidationError) -> str:
    """The first broken rule in one line; an unknown key comes before other mistakes."""
    first = min(error.errors(), key=lambda broken: broken["type"] != "extra_forbidden")
    key = ".".join(str(part)[:_MOST_SHOWN] for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r} of {cls.called()}: {closest(key, cls.model_fields)}"
    rule = first["msg"].removeprefix("Value error, ")
    value = "" if first["type"] in ("missing", "value_error") else f", got {_shown(first['input'])}"
    return one_line(f"{cls.called()}{f' {key}' if key else ''}: {rule}{value}")


def _shown(value: Any) -> str:
    """Return a wrong value in one short line, whatever is in it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more than 4300 digits, or endless nesting
        text = f"a {type(value).__name__} too long to print"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
