"""Types: what is written becomes what is meant, and what Glue 5.1 cannot do is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshplane.model.type_reading import NotATypeError
from meshplane.model.types import PRIMITIVES, Decimal, Field, ListType, MapType, Primitive, StructType, Type, parse, text

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
SIMPLE: st.SearchStrategy[Type] = st.one_of(
    st.sampled_from(PRIMITIVES).map(Primitive),
    st.integers(1, 38).flatmap(lambda p: st.integers(0, p).map(lambda s: Decimal(p, s))),
)


def _nested(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    fields = st.lists(st.tuples(NAMES, inner), min_size=1, max_size=4, unique_by=lambda pair: pair[0])
    return st.one_of(
        inner.map(ListType),
        st.builds(MapType, SIMPLE, inner),
        fields.map(lambda pairs: StructType(tuple(Field(name, kind) for name, kind in pairs))),
    )


TYPES = st.recursive(SIMPLE, _nested, max_leaves=8)


def long_form(of: Type) -> object:
    match of:
        case ListType(element):
            return {"list": long_form(element)}
        case MapType(key, value):
            return {"map": {"key": long_form(key), "value": long_form(value)}}
        case StructType(fields):
            return {"struct": {field.name: long_form(field.type) for field in fields}}
    return text(of)


@given(TYPES)
def test_a_type_survives_its_spelling_and_its_long_form(of: Type) -> None:
    assert parse(text(of)) == of
    assert parse(long_form(of)) == of


@pytest.mark.parametrize(
    ("written", "code", "mend"),
    [
        ("bigint", "type-other-word", "long"),
        ("integer", "type-other-word", "int"),
        ("varchar(10)", "type-other-word", "string"),
        ("text", "type-other-word", "string"),
        ("datetime", "type-other-word", "timestamptz, or timestamp for a local time"),
        ("Array<int>", "type-other-word", "list"),
        ("STRING", "type-other-word", "string"),
        ("uuid", "type-unsupported", "string"),
        ("time", "type-unsupported", "string, or int for seconds of the day"),
        ("fixed(16)", "type-unsupported", "binary"),
        ("variant", "type-unsupported", "string, or a struct of what is known"),
        ("timestamp_ns", "type-unsupported", "timestamp"),
        ("timestamptz_ns", "type-unsupported", "timestamptz"),
        ("geometry", "type-unsupported", "binary (WKB)"),
        ("dubble", "type-unknown", "did you mean 'double'?"),
        ("decimal", "type-decimal", "decimal(18,2)"),
        ("decimal(10)", "type-decimal", "decimal(10,0)"),
        ("decimal(39,2)", "type-decimal", "decimal(38,2), or string if the source really needs 39 digits"),
        ("decimal(4,6)", "type-decimal", "decimal(6,6)"),
        ("decimal(0,0)", "type-decimal", "decimal(1,0)"),
        ("string(10)", "type-shape", "string"),
        ("list<uuid>", "type-unsupported", "string"),
        ("map<list<int>, int>", "type-map-key", ""),
        ("struct<a: int, A: int>", "column-twice", ""),
        (["int"], "type-shape", ""),
        (None, "type-shape", ""),
    ],
)
def test_other_words_are_refused_with_the_right_one(written: object, code: str, mend: str) -> None:
    with pytest.raises(NotATypeError) as caught:
        parse(written)
    (fault,) = caught.value.faults
    assert (fault.code, fault.mend) == (code, mend)


def test_every_fault_of_a_nested_type_is_named_with_its_path() -> None:
    with pytest.raises(NotATypeError) as caught:
        parse(
            {
                "list": {
                    "struct": {"a": "uuid", "b": {"map": {"key": "strng", "value": "int"}}, "9c": "int", "d": {"type": "int", "dok": "x"}}
                }
            }
        )
    assert [(fault.code, fault.path) for fault in caught.value.faults] == [
        ("type-unsupported", ("list", "struct", "a")),
        ("type-unknown", ("list", "struct", "b", "map", "key")),
        ("name-pattern", ("list", "struct", "9c")),
        ("unknown-key", ("list", "struct", "d", "dok")),
    ]


@given(st.text(max_size=40))
def test_any_text_is_a_type_or_a_fault(written: str) -> None:
    faults: tuple[object, ...] = ()
    try:
        again = parse(text(parse(written)))
    except NotATypeError as refused:
        faults = refused.faults
    else:
        faults = (again,) if again == parse(written) else ()
    assert faults
