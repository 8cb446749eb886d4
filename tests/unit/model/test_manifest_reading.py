"""The strict reader: places, scalars of YAML 1.2, limits, and that nothing but ManifestInvalid ever leaves it."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from meshplane.errors import ManifestInvalid
from meshplane.model import manifest
from meshplane.model.reading import read, shown

HEAD = "apiVersion: meshplane/v1\nkind: Project\nmetadata: { name: sales }\n"


def scalar(text: str) -> object:
    root, problems = read(f"a: {text}\n", "f")
    assert not problems
    node = root.child("a")
    assert node is not None
    return node.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5e3", 1500.0),
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("off", "off"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2027-01-31", "2027-01-31"),
        (".nan", ".nan"),
        ("'12'", "12"),
        ("'true'", "true"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    got = scalar(text)
    assert got == value
    assert isinstance(got, type(value))


def test_a_number_remembers_its_spelling() -> None:
    assert [shown(scalar(text)) for text in ("007", "1.10", "0x1F")] == ["007", "1.10", "0x1F"]


def test_every_value_and_key_keeps_its_place() -> None:
    root, _ = read("tables:\n  orders:\n    key: [a, b]\n    sort: x\n", "f")
    orders = root.child("tables").child("orders")  # type: ignore[union-attr]
    assert orders is not None
    key, sort = orders.child("key"), orders.child("sort")
    assert key is not None
    assert sort is not None
    assert (orders.line, orders.column) == (2, 3)
    assert (key.line, key.column, key.key_line, key.key_column) == (3, 10, 3, 5)
    assert (sort.line, sort.column, sort.path) == (4, 11, ("tables", "orders", "sort"))
    second = key.child(1)
    assert second is not None
    assert (second.line, second.column, second.value) == (3, 14, "b")


BOMBS = {
    "aliases": "a: &a [x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(20)),
    "depth": "a: " + "[" * 100_000,
    "block depth": "".join(" " * n + f"k{n}:\n" for n in range(500)),
    "nodes": "a: [" + "x," * 100_000,
    "size": "#" * 300_000,
    "merge": "a: {x: 1}\nb:\n  <<: {x: 1}\n",
    "long key": "k" * 200_000 + ": 1\n",
    "quotes": 'a: "' + "\\x41" * 60_000,
    "type": 'apiVersion: meshplane/v1\ntables: { t: { columns: { c: "' + "list<" * 40_000 + '" } } }\n',
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_fast_and_small(name: str) -> None:
    tracemalloc.start()
    began = time.perf_counter()
    problems = manifest.check(BOMBS[name], file="f", project="sales")
    took = time.perf_counter() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problems
    assert took < 20, "tracing slows this down about tenfold"
    assert peak < 64 * 1024**2


SNIPPETS = st.sampled_from(
    [
        "a",
        ":",
        " ",
        "\n",
        "  ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&x ",
        "*x",
        "!!str ",
        "|",
        ">",
        "'",
        '"',
        "\\U",
        "%",
        "---",
        "...",
        "?",
        "#",
        "\t",
        "<<",
        "tables",
        "jobs",
        "layer: raw",
        "columns: {",
        "decimal(12,2)",
        "struct<x: int>",
        "~",
        "\ufeff",
        "\x00",
        "\x85",
        "\ud800",
        "0x",
        "1e9",
        "é",
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=200), st.lists(SNIPPETS, max_size=40).map("".join)))
@example("a: !<x\n")
@example('"\\UFFFFFFFF"')
@example("%YAML 9.9\n---\na")
@example("%TAG ! \n")
@example("a: |99\n x")
def test_nothing_but_manifest_invalid_leaves_the_loader(text: str) -> None:
    for whole in (text, HEAD + text):
        problems = manifest.check(whole, file="f", project="sales")
        assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
        if problems:
            with pytest.raises(ManifestInvalid) as caught:
                manifest.load(whole, file="f", env="dev", project="sales")
            assert caught.value.problems == problems
        else:
            assert manifest.load(whole, file="f", env="dev", project="sales").name == "sales"


KEYS = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "tables",
    "jobs",
    "pipelines",
    "environments",
    "policy",
    "orders",
    "layer",
    "format",
    "columns",
    "key",
    "partition",
    "sort",
    "optimizers",
    "retention",
    "use",
    "script",
    "reads",
    "writes",
    "with",
    "map",
    "steps",
    "triggers",
    "schedule",
    "files",
    "dev",
    "type",
    "list",
    "struct",
    "projection",
    "workers",
    "spark",
    "properties",
    "asl",
    "params",
    "parallel",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 500),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(KEYS),
    st.sampled_from(
        ["raw", "refined", "csv", "merge", "long", "day(id)", "2 x G.1X", "30m", "off", "cron(0 6 * * ? *)", "a.b", "lib/", "x.py"]
    ),
)
TREES = st.recursive(
    VALUES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)), max_leaves=25
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8))
def test_any_tree_is_accepted_or_refused_with_places(tree: dict[str, object]) -> None:
    problems = manifest.check(json.dumps(tree), file="f", project="sales")
    assert all(problem.line >= 1 for problem in problems)
    assert len(problems) == len(set(problems))


def turned(value: object) -> object:
    """The same with all maps written the other way round."""
    if isinstance(value, dict):
        return {key: turned(inner) for key, inner in reversed(value.items())}
    return [turned(inner) for inner in value] if isinstance(value, list) else value


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8))
def test_the_order_of_keys_changes_no_verdict(tree: dict[str, object]) -> None:
    def verdict(of: object) -> set[tuple[str, str]]:
        # A list of columns or names inside a message keeps the file's order, so only what and where is compared.
        problems = manifest.check(json.dumps(of), file="f", project="sales")
        return {(p.code, p.path) for p in problems if not p.code.startswith("trigger-")}

    assert verdict(tree) == verdict(turned(tree))
