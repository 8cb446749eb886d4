"""How columns evolve: what is allowed, what is refused and why, and that the target needs nothing more."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshplane.model.evolution import BROUGHT, evolve, impossible, is_wider
from meshplane.model.resource import Effect
from meshplane.model.types import PRIMITIVES, Decimal, Field, ListType, MapType, Primitive, StructType, Type

INT, LONG, STRING = (Primitive(name) for name in ("int", "long", "string"))


def seen(*columns: Field) -> tuple[Field, ...]:
    """The columns with ids, as a table would have them, those of nested fields included."""
    count = itertools.count(1)

    def numbered(of: Field) -> Field:
        return replace(of, id=next(count), type=inside(of.type), renamed_from="")

    def inside(of: Type) -> Type:
        match of:
            case StructType(fields):
                return StructType(tuple(numbered(f) for f in fields))
            case ListType(element):
                return ListType(inside(element))
            case MapType(key, value):
                return MapType(inside(key), inside(value))
        return of

    return tuple(numbered(column) for column in columns)


def shown(wanted: tuple[Field, ...], now: tuple[Field, ...], *dropped: str) -> list[tuple[str, str, str]]:
    return [(d.field, d.was, d.wanted) for d in evolve(wanted, now, dropped).differences]


TABLE = (Field("id", LONG, required=True), Field("amount", Decimal(10, 2)), Field("ccy", STRING), Field("legacy", STRING))


def test_equal_columns_need_no_step() -> None:
    evolution = evolve(TABLE, seen(*TABLE))
    assert (evolution.differences, evolution.extra) == ((), ())
    assert [column.id for column in evolution.columns] == [1, 2, 3, 4]


def test_the_steps_come_in_the_order_in_which_they_hold() -> None:
    wanted = (
        Field("currency", STRING, renamed_from="ccy"),
        Field("channel", STRING),
        Field("id", LONG),
        Field("amount", Decimal(12, 2), doc="gross"),
    )
    evolution = evolve(wanted, seen(*TABLE), ("legacy",))
    assert [(d.field, d.was, d.wanted) for d in evolution.differences] == [
        ("columns.legacy", "string", ""),
        ("columns.id.required", "required", "optional"),
        ("columns.amount.doc", "", "gross"),
        ("columns.amount", "decimal(10,2)", "decimal(12,2)"),
        ("columns.currency", "ccy", "currency"),
        ("columns.channel", "", "string"),
        ("columns.order", "id, amount, currency", "currency, channel, id, amount"),
    ]
    assert not [d.refused for d in evolution.differences if d.refused]
    assert [d.effect for d in evolution.differences if d.field == "columns.channel"] == [Effect.ADDITIVE]
    assert {d.effect for d in evolution.differences if d.field != "columns.channel"} == {Effect.SAFE}
    assert [(c.name, c.id) for c in evolution.columns] == [("currency", 3), ("channel", 0), ("id", 1), ("amount", 2)]


def test_a_column_leaves_only_when_it_is_listed() -> None:
    wanted = TABLE[:3]
    kept = evolve(wanted, seen(*TABLE))
    assert (kept.differences, kept.extra) == ((), ("legacy",))
    assert [c.name for c in kept.columns] == ["id", "amount", "ccy", "legacy"]
    assert shown(wanted, seen(*TABLE), "LEGACY") == [("columns.legacy", "string", "")]


def test_a_column_of_somebody_else_keeps_its_place() -> None:
    now = seen(Field("x", INT), Field("id", LONG), Field("mine", INT), Field("amount", INT))
    evolution = evolve((Field("amount", INT), Field("id", LONG), Field("new", INT)), now)
    assert [c.name for c in evolution.columns] == ["x", "amount", "id", "mine", "new"]
    assert evolution.extra == ("x", "mine")


def test_a_column_that_the_data_brought_is_no_addition_of_somebody_else() -> None:
    now = seen(*TABLE, Field("channel", STRING, doc=BROUGHT), Field("score", INT, doc=BROUGHT), Field("mine", INT))
    evolution = evolve(TABLE, now)
    assert (evolution.differences, evolution.extra, evolution.brought) == ((), ("mine",), ("channel string", "score int"))
    assert [column.name for column in evolution.columns][-3:] == ["channel", "score", "mine"]


def test_it_is_taken_by_who_declares_it_where_the_types_fit() -> None:
    now = seen(*TABLE, Field("channel", STRING, doc=BROUGHT), Field("score", INT, doc=BROUGHT))
    declared = (*TABLE, Field("channel", STRING, doc="Where"), Field("score", LONG))
    evolution = evolve(declared, now)
    assert (evolution.brought, [one.refused for one in evolution.differences if one.refused]) == ((), [])
    assert {(d.field, d.was, d.wanted) for d in evolution.differences} == {
        ("columns.channel.doc", BROUGHT, "Where"),
        ("columns.score.doc", BROUGHT, ""),
        ("columns.score", "int", "long"),
    }
    [refused] = [one.refused for one in evolve((*TABLE, Field("channel", LONG), Field("score", INT)), now).differences if one.refused]
    assert refused.startswith("the data brought channel as string before it was declared. channel is string, and files hold it so; long ")
    required = [one.refused for one in evolve((*TABLE, Field("channel", STRING, required=True)), now).differences if one.refused]
    assert ["the data brought channel" in text and "its rows may hold null" in text for text in required] == [True]


WIDER = (replace(TABLE[0], required=False), replace(TABLE[1], type=Decimal(18, 2)), TABLE[2], Field("n", LONG))
GROWN = (*TABLE[:3], Field("n", INT))


def test_what_the_data_may_change_stays_as_they_made_it() -> None:
    evolution = evolve(GROWN, seen(*WIDER), changed=("types", "precision", "nullability"))
    assert evolution.differences == ()
    assert evolution.brought == (
        "id optional, declared as required",
        "amount decimal(18,2), declared as decimal(10,2)",
        "n long, declared as int",
    )
    assert [(c.type, c.required) for c in evolution.columns] == [(c.type, c.required) for c in WIDER]
    assert evolve(WIDER, seen(*WIDER), changed=("types",)).brought == ()  # declared since


@pytest.mark.parametrize(("entity", "left"), [("types", 2), ("precision", 2), ("nullability", 2), ("", 3)])
def test_what_they_may_not_change_is_refused(entity: str, left: int) -> None:
    refused = [one.refused for one in evolve(GROWN, seen(*WIDER), changed=(entity,)).differences]
    assert (len(refused), all(refused)) == (left, True)


ALLOWED = {("int", "long"), ("float", "double")}


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(PRIMITIVES, 2)))
def test_of_all_pairs_of_types_two_can_be_widened(old: str, new: str) -> None:
    (step,) = evolve((Field("a", Primitive(new)),), seen(Field("a", Primitive(old)))).differences
    assert (step.refused == "") == ((old, new) in ALLOWED)
    assert "declare" in step.refused or "another name" in step.refused or not step.refused


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (Decimal(18, 2), Decimal(18, 4), "scale"),  # pyiceberg 0.12 accepts it, and readers then misread every value
        (Decimal(10, 2), Decimal(20, 4), "scale"),
        (Decimal(12, 2), Decimal(10, 2), "narrowed"),
        (LONG, INT, "narrowed to int: declare long"),
        (LONG, Decimal(19, 0), "another name"),
        (ListType(INT), INT, "another name"),
        (MapType(INT, STRING), MapType(LONG, STRING), "key of a map"),
        (StructType((Field("a", INT),)), STRING, "another name"),
    ],
)
def test_what_files_cannot_be_read_as_is_refused_with_the_way_out(old: Type, new: Type, says: str) -> None:
    (step,) = evolve((Field("a", new),), seen(Field("a", old))).differences
    assert says in step.refused


def test_decimals_widen_in_precision_only() -> None:
    assert is_wider(Decimal(38, 2), Decimal(10, 2))
    assert not is_wider(Decimal(10, 2), Decimal(10, 2))


def test_required_needs_an_empty_table() -> None:
    wanted = (*TABLE, Field("channel", STRING, required=True))
    (step,) = evolve(wanted, seen(*TABLE)).differences
    assert "declare it optional" in step.refused
    assert [d.refused for d in evolve(wanted, seen(*TABLE), empty=True).differences] == [""]
    (step,) = evolve((replace(TABLE[1], required=True),), seen(TABLE[1])).differences
    assert "may hold null" in step.refused
    assert [d.refused for d in evolve((replace(TABLE[1], required=True),), seen(TABLE[1]), empty=True).differences] == [""]


def test_a_source_of_partition_or_sort_is_not_dropped() -> None:
    address = Field("address", StructType((Field("country", STRING),)))
    now = seen(Field("id", LONG), Field("at", LONG), address)
    steps = evolve((Field("id", LONG),), now, ("at", "address"), pinned=("at", "address.country")).differences
    assert [("partitioned or sorted" in step.refused) for step in steps] == [True, True]


def test_nested_fields_evolve_like_columns() -> None:
    old = Field("items", ListType(StructType((Field("sku", STRING), Field("quantity", INT), Field("old", INT)))))
    new = Field("items", ListType(StructType((Field("quantity", LONG), Field("article", STRING, renamed_from="sku"), Field("price", INT)))))
    evolution = evolve((new,), seen(old), ("items.element.old",))
    assert [(d.field, d.was, d.wanted) for d in evolution.differences] == [
        ("columns.items.element.old", "int", ""),
        ("columns.items.element.quantity", "int", "long"),
        ("columns.items.element.article", "sku", "article"),
        ("columns.items.element.price", "", "int"),
        ("columns.items.element.order", "article, quantity", "quantity, article, price"),
    ]
    assert evolution.names["items.element.sku"] == "items.element.article"
    deep = Field("m", MapType(STRING, StructType((Field("a", INT),))))
    assert shown((replace(deep, type=MapType(STRING, StructType((Field("a", LONG),)))),), seen(deep)) == [
        ("columns.m.value.a", "int", "long")
    ]


def test_a_chain_of_renames_is_followed_once_and_then_left_alone() -> None:
    wanted = (Field("b", INT, renamed_from="a"), Field("c", INT, renamed_from="b"))
    first = evolve(wanted, seen(Field("a", INT), Field("b", INT)))
    assert [(d.was, d.wanted) for d in first.differences] == [("a", "b"), ("b", "c")]
    assert [(c.name, c.id) for c in first.columns] == [("b", 1), ("c", 2)]
    assert evolve(wanted, first.columns).differences == ()


def test_the_old_name_can_be_taken_by_a_new_column() -> None:
    wanted = (Field("total", INT, renamed_from="amount"), Field("amount", STRING))
    first = evolve(wanted, seen(Field("amount", INT)))
    assert [(c.name, c.id) for c in first.columns] == [("total", 1), ("amount", 0)]
    assert evolve(wanted, seen(Field("total", INT), Field("amount", STRING))).differences == ()


def test_upper_and_lower_case_are_one_name() -> None:
    # pyiceberg 0.12 lets `ID` stand beside `id`; Glue, Athena and Spark fold them into one.
    assert [(d.was, d.wanted) for d in evolve((Field("ID", INT),), seen(Field("id", INT))).differences] == [("id", "ID")]
    assert "stands there twice" in impossible((Field("ID", INT), Field("id", INT)))
    assert "a.element" in impossible((Field("a", ListType(StructType((Field("x", INT), Field("X", INT))))),))


@pytest.mark.parametrize(
    ("columns", "dropped", "says"),
    [
        ((Field("b", INT, renamed_from="a"), Field("c", INT, renamed_from="A")), (), "two columns are renamed"),
        ((Field("b", INT, renamed_from="a"), Field("a", INT, renamed_from="b")), (), "exchange names"),
        ((Field("a", INT),), ("A",), "both declared and listed"),
        (TABLE, ("old",), ""),
    ],
)
def test_what_can_never_be_is_said_without_a_table(columns: tuple[Field, ...], dropped: tuple[str, ...], says: str) -> None:
    assert says in impossible(columns, dropped)
    assert bool(says) == bool(impossible(columns, dropped))


TYPES: st.SearchStrategy[Type] = st.recursive(
    st.sampled_from([*map(Primitive, PRIMITIVES), Decimal(10, 2), Decimal(14, 2)]),
    lambda inner: st.one_of(
        st.builds(ListType, inner),
        st.builds(lambda value: MapType(STRING, value), inner),
        st.lists(st.tuples(st.sampled_from("abcd"), inner), min_size=1, max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda pairs: StructType(tuple(Field(name, of) for name, of in pairs))
        ),
    ),
    max_leaves=5,
)
SCHEMAS = st.lists(st.tuples(st.sampled_from("abcdef"), TYPES, st.booleans()), min_size=1, max_size=5, unique_by=lambda one: one[0]).map(
    lambda many: tuple(Field(name, of, required) for name, of, required in many)
)


@given(SCHEMAS, SCHEMAS, st.sets(st.sampled_from("abcdef")))
def test_the_target_is_what_was_wanted_and_keeps_every_id(wanted: tuple[Field, ...], before: tuple[Field, ...], listed: set[str]) -> None:
    dropped = listed - {f.name for f in wanted}
    now = seen(*before)
    evolution = evolve(wanted, now, dropped, empty=True)
    if any(d.refused for d in evolution.differences):
        return
    target = evolution.columns
    assert evolve(wanted, seen(*target), dropped, empty=True).differences == ()
    names = {f.name: f.id for f in now}
    assert all(column.id in (names.get(column.name), 0) for column in target)
    assert {c.name for c in target} == {f.name for f in wanted} | {f.name for f in now if f.name not in dropped}
    assert bool(evolution.differences) == (evolve(wanted, now, dropped, empty=True).columns != now)
