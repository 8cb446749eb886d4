"""From a read tree to a pydantic model, with every fault named and with as much of the rest as can be judged further.

pydantic's errors become Problems by type and location, never by their text. What was refused is taken out and the rest is validated
again, so that one slip hides no other. Called by `manifest` and `domain`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from meshplane.model.problems import LATER, Findings, Loc, did_you_mean, within
from meshplane.model.reading import Node, shown

M = TypeVar("M", bound=BaseModel)

_KINDS = {
    "string_type": ("want-text", "a text is wanted here", "text; quote a number that is meant as text"),
    "int_type": ("want-whole-number", "a whole number is wanted here", "a whole number"),
    "int_from_float": ("want-whole-number", "a whole number is wanted here", "a whole number"),
    "bool_type": ("want-true-false", "this is true or false", "true, false (yes, no, on and off are texts in YAML 1.2)"),
    "dict_type": ("want-map", "a map is wanted here", "key: value"),
    "model_type": ("want-map", "a map is wanted here", "key: value"),
    "model_attributes_type": ("want-map", "a map is wanted here", "key: value"),
    "tuple_type": ("want-list", "a list is wanted here", "[…], or lines that begin with -"),
    "list_type": ("want-list", "a list is wanted here", "[…], or lines that begin with -"),
}


def understand(model: type[M], findings: Findings, stand_in: Callable[[Loc], object]) -> M | None:
    """The model of what was written, less what was refused (see `findings.lost`); None when too little remains.

    `stand_in` gives a value to go on with where a required key is missing or wrong, None where there is none.
    """
    overrides: dict[Loc, object] = {}
    while True:
        data = _plain(findings.root, findings)
        for loc, value in overrides.items():
            _put(data, loc, value)
        try:
            return model.model_validate(data)
        except ValidationError as invalid:
            refused: list[Node] = []
            progress = False
            # Deepest first: a container is not blamed for what is wrong inside it.
            for error in sorted(invalid.errors(include_url=False), key=lambda each: -len(each["loc"])):
                loc = error["loc"]
                missing = error["type"] == "missing"
                node = findings.resolve(tuple(part for part in (loc[:-1] if missing else loc) if part != "[key]"))
                # What pydantic misses it misses in the first round: all of them are named then.
                lost = findings.lost if missing else {*findings.lost, *map(id, refused)}
                if not _known(node, loc, missing, lost):
                    _report(model, error, loc, findings)
                if loc not in overrides and (value := stand_in(loc)) is not None:
                    overrides[loc] = value
                    progress = True
                    if not missing:
                        refused.append(node)
                elif node is not findings.root and id(node) not in findings.lost:
                    refused.append(node)
            if not refused and not progress:
                return None
            for node in refused:
                findings.lose(node)


def _known(node: Node, loc: Loc, missing: bool, lost: set[int]) -> bool:
    """Does this error only follow from one that was reported? A missing key that was written, a container that lost something."""
    if missing and node.child(loc[-1]) is not None:
        return True
    return any(id(each) in lost for each in within(node))


def _plain(node: Node, findings: Findings) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(child, findings) for key, child in node.value.items() if id(child) not in findings.lost}
    if isinstance(node.value, list):
        return [_plain(child, findings) for child in node.value if id(child) not in findings.lost]
    return node.value


def _put(data: Any, loc: Loc, value: object) -> None:
    """Set a stand-in, where what holds it is still there."""
    for key in loc[:-1]:
        data = data.get(key) if isinstance(data, dict) else None
    if isinstance(data, dict):
        data[loc[-1]] = value


def _report(model: type[BaseModel], error: ErrorDetails, loc: Loc, findings: Findings) -> None:
    """One error of pydantic as a Problem; `[key]` at the end of a location means the key itself."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    at_key = bool(loc) and loc[-1] == "[key]"
    loc = loc[:-1] if at_key else loc
    found, allowed = shown(value), ""
    if kind == "missing":
        return findings.add("missing-key", loc[:-1], f"'{loc[-1]}' is missing", mend=f"add `{loc[-1]}`: {_described(model, loc)}")
    if kind == "extra_forbidden":
        return _unknown(model, loc, findings)
    if value is None and "text" not in context:
        return _empty(loc, findings)
    if "text" in context:
        given = {key: context[key] for key in ("found", "allowed", "mend")}
        return findings.add(kind, loc, context["text"], **given, at_key=at_key)
    if kind == "literal_error":
        code, message, allowed = "not-one-of", f"'{found}' is not possible here", str(context["expected"]).replace("'", "")
    elif kind in ("greater_than_equal", "less_than_equal"):
        allowed = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
        code, message = "out-of-range", "this number is not possible here"
    elif kind in ("too_short", "too_long"):
        allowed = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        code, message, found = (
            "list-length",
            f"too {'few' if kind == 'too_short' else 'many'} entries stand here",
            str(context["actual_length"]),
        )
    elif kind in ("string_too_short", "string_too_long"):
        allowed = f"{context.get('max_length', context.get('min_length'))} characters"
        code, message, found = "text-length", "this text has another length", f"{len(str(value))} characters"
    elif kind == "string_pattern_mismatch":
        code, message, allowed = "text-form", "this text has another form", _described(model, loc) or str(context["pattern"])
    else:
        code, message, allowed = _KINDS.get(kind, ("text-form", "this is not possible here", ""))
    return findings.add(code, loc, message, found=found, allowed=allowed, at_key=at_key)


def _empty(loc: Loc, findings: Findings) -> None:
    word = findings.resolve(loc).text
    if word:
        return findings.add("empty-value", loc, f"YAML reads {word} as nothing", found=word, mend=f'write "{word}" if it is meant as text')
    return findings.add("empty-value", loc, "nothing stands after the colon", mend="write a value, or leave the key out")


def _unknown(model: type[BaseModel], loc: Loc, findings: Findings) -> None:
    """An unknown key: one that comes later, or one that is near another."""
    key = str(loc[-1])
    holder = at(model, loc[:-1])
    later: Mapping[str, str] = getattr(holder, "later", {})
    if key in later:
        message = f"not delivered yet: '{key}' comes with {LATER[later[key]]}"
        findings.add("not-delivered", loc, message, mend="leave it out until then", at_key=True)
        return
    known = aliases(holder)
    findings.add(
        "unknown-key", loc, f"unknown key '{key}'", found=key, allowed=", ".join(known), mend=did_you_mean(key, known), at_key=True
    )


def _described(model: type[BaseModel], loc: Loc) -> str:
    holder = at(model, loc[:-1])
    for name, info in (holder.model_fields if holder else {}).items():
        if (info.alias or name) == loc[-1]:
            return info.description or ""
    return ""


def aliases(model: type[BaseModel] | None) -> tuple[str, ...]:
    """The keys of a model, as they are written."""
    return tuple(info.alias or name for name, info in model.model_fields.items()) if model else ()


def at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model that stands at a location of the long form."""
    cursor: Any = model
    for segment in loc:
        cursor = step(cursor, segment)
    return cursor if isinstance(cursor, type) and issubclass(cursor, BaseModel) else None


def field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    """The field that a written key means."""
    return next((info for name, info in model.model_fields.items() if key == (info.alias or name)), None)


def step(cursor: Any, segment: str | int) -> Any:
    """The annotation one key or index further; None where there is none."""
    if isinstance(cursor, type) and issubclass(cursor, BaseModel):
        info = field_of(cursor, str(segment))
        return bare(info.annotation) if info else None
    origin, arguments = get_origin(cursor), get_args(cursor)
    if origin in (dict, tuple) and arguments:
        return bare(arguments[1] if origin is dict else arguments[0])
    return None


def bare(annotation: Any) -> Any:
    """An annotation without Annotated and Optional around it."""
    while True:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            annotation = arguments[0]
        elif origin in (Union, UnionType):
            annotation = next(inner for inner in arguments if inner is not type(None))
        else:
            return annotation
