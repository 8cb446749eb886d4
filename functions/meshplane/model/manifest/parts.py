"""What the authoring models are made of: the frozen base, marks, short forms, and the simple values with units. Pure.

A `Part` is a map of the manifest. `expand` turns its short forms into the long one before fields are read; `short` describes them in
the JSON Schema; `later` names keys that a coming issue delivers and that are refused until then. A field made with `overlay=True` may
differ per environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic import Field as PydanticField
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_before_validator_function

from meshplane.model.reading import WrittenFloat, WrittenInt, shown

JsonSchema = dict[str, Any]


def refuse(code: str, message: str, found: str = "", allowed: str = "", mend: str = "") -> NoReturn:
    """Raise what becomes a Problem with the place of the value under validation. `code` is of `problems.CODES`."""
    context = {"text": message, "found": found, "allowed": allowed, "mend": mend}
    raise PydanticCustomError(code, "{text}", context)


def field(description: str, *, overlay: bool = False, **more: Any) -> Any:
    """A field with its meaning, unit and default in words. Without `default` (or `default_factory`) it is required."""
    if overlay:
        more["json_schema_extra"] = {"x-overlay": True}
        description += " May differ per environment."
    return PydanticField(description=description, validate_default=True, **more)


class Part(BaseModel):
    """A map of the manifest: frozen, camelCase, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, title="")

    later: ClassVar[Mapping[str, str]] = {}
    short: ClassVar[tuple[JsonSchema, ...]] = ()

    @classmethod
    def expand(cls, value: object) -> object:
        """The long form of a short one; anything else as it is."""
        return value

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: object) -> object:
        return cls.expand(value)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """The long form, beside the short ones as `anyOf`."""
        schema = handler(core)
        body = handler.resolve_ref_schema(schema)
        if cls.short:
            long = dict(body)
            body.clear()
            body.update({"description": long.pop("description", ""), "anyOf": [*cls.short, long]})
        return schema


@dataclass(frozen=True, slots=True, eq=False)  # by identity: its schema has no hash
class Checked:
    """Annotation of a simple value: `check` sees it first, and refuses or converts it; `schema` is its JSON Schema."""

    check: Callable[[object], object]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The check before pydantic's own."""
        return no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """As given."""
        return dict(self.schema)


class OneOrList:
    """Annotation of `tuple[item, ...]`: a single item may be written alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """One value stands for a list of one."""
        return no_info_before_validator_function(lambda value: value if isinstance(value, list | tuple) else [value], handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """The item, or the list of items."""
        schema = handler(core)
        return {"anyOf": [schema["items"], schema]}


Text = Annotated[str, Strict()]
Names = Annotated[tuple[Text, ...], OneOrList()]
Doc = Annotated[str, Strict(), StringConstraints(max_length=255)]
Description = Annotated[str, Strict(), StringConstraints(max_length=2048)]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]


def as_written(value: object) -> object:
    """A number or boolean as the text that stands in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.text if isinstance(value, WrittenInt | WrittenFloat) else value


# Settings of Spark and the like: numbers and booleans are taken as they are written.
Setting = Annotated[str, BeforeValidator(as_written), Strict(), WithJsonSchema({"type": ["string", "number", "boolean"]})]


def named(what: str, pattern: str, allowed: str, longest: int = 255) -> Checked:
    """A name by a pattern of D2."""

    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            refuse("name-pattern", f"'{shown(value)}' cannot name a {what}", shown(value), allowed)
        if isinstance(value, str) and len(value) > longest:
            refuse("name-length", f"the name of this {what} is too long", f"{len(value)} characters", f"{longest} characters", "shorten it")
        return value

    return Checked(check, {"type": "string", "pattern": f"^{pattern}$", "maxLength": longest})


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(least: str, most: str, step: str = "1s") -> Checked:
    """A length of time with its unit, between two others, a multiple of `step`."""
    low, high, unit = (_seconds(limit) for limit in (least, most, step))

    def check(value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            refuse(
                "duration-unit", "a length of time needs its unit", shown(value), f"{least} to {most}", f"{shown(value)}m, or with s, h, d"
            )
        if not isinstance(value, str):
            return (
                value
                if isinstance(value, timedelta)
                else refuse("duration", "this is no length of time", shown(value), f"{least} to {most}")
            )
        if not re.fullmatch(r"[0-9]{1,9}[smhd]", value):
            refuse("duration", "this is no length of time", shown(value), f"a whole number with s, m, h or d; {least} to {most}")
        seconds = _seconds(value)
        if not low <= seconds <= high or seconds % unit:
            whole = "" if step == "1s" else f", in steps of {step}"
            refuse("duration-range", "this length of time is not possible here", value, f"{least} to {most}{whole}")
        return timedelta(seconds=seconds)

    schema = {"type": "string", "pattern": "^[0-9]+[smhd]$", "description": f"{least} to {most}"}
    return Checked(check, schema)


def _seconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


SIZES = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}


def byte_size(value: object) -> int:
    """Bytes of `512MB`. Refuses a bare number."""
    text = shown(value)
    if match := re.fullmatch(r"([0-9]{1,6})(KB|MB|GB)", text):
        return int(match[1]) * SIZES[match[2]]
    refuse("size-unit", "a size needs its unit", text, "a whole number with KB, MB or GB", "512MB")


def relative(what: str, *endings: str) -> Checked:
    """A path inside the project's folder, with one of the endings."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = value.rstrip("/").split("/")
        if not re.fullmatch(r"[A-Za-z0-9._/ -]+", value) or value.startswith("/") or any(part in ("", ".", "..") for part in parts):
            refuse(
                "path-outside",
                f"this is no path inside the project's folder: {shown(value)}",
                shown(value),
                "jobs/x.py, without .. and leading /",
            )
        if endings and not value.endswith(endings):
            refuse("path-ending", f"a {what} has another ending", shown(value), ", ".join(endings))
        return value

    return Checked(check, {"type": "string"})
