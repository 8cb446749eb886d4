"""The starred rules of the house: sizes, names, docstrings, and nothing of this or that machine in a commit."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = ("functions", "glue_jobs", "cli")
NAMELESS = {"utils", "helpers", "common", "misc"}


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    return tuple(sorted(ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()))


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ROOTS]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(), ids=ids)
def test_module_keeps_to_the_limits(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    limit = 40 if path.parent.name == "handlers" and path.name != "__init__.py" else 400
    assert lines <= limit, f"{lines} lines; {limit} are allowed: split it by what changes together"
    assert ast.get_docstring(ast.parse(text)), "a module opens with a sentence about its job"
    for function in functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length <= 60, f"{function.name}: {length} lines; 60 are allowed"
        named = [
            a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs) if a.arg not in ("self", "cls")
        ]
        assert len(named) <= 7, f"{function.name}: {len(named)} parameters; 7 are allowed"


def test_every_name_says_something() -> None:
    nameless = [ids(p) for p in tracked() if NAMELESS & {part.removesuffix(".py") for part in p.relative_to(ROOT).parts}]
    assert nameless == []


def test_handlers_do_not_decide() -> None:
    deciding = [
        ids(p) for p in sources() if p.parent.name == "handlers" for n in ast.walk(ast.parse(p.read_text())) if isinstance(n, ast.If)
    ]
    assert deciding == [], "an `if` in a handler belongs into a flow"


def test_what_decides_reads_no_clock_and_draws_no_id() -> None:
    pure = {"model", "kinds", "plan", "flows"}
    impure = re.compile(r"\b(?:datetime|date)\.(?:now|today|utcnow)\(|\buuid[14]\(|\btime\.time\(")
    found = [ids(p) for p in sources() if pure & set(p.relative_to(ROOT).parts) and impure.search(p.read_text(encoding="utf-8"))]
    assert [name for name in found if name.startswith("functions/")] == []


def test_aws_lists_only_through_paginators() -> None:
    """A listing read half-way looks like things that are gone (reliability row 10)."""
    raw = re.compile(r"\.(list_(?!tags|resource_tags)\w+|get_tables|get_resources|describe_log_groups|get_account_authorization_details)\(")
    found = [
        f"{ids(p)}: {match[1]}"
        for p in sources()
        if "functions/meshplane/aws" in ids(p)
        for match in raw.finditer(p.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_lock_files_name_no_host() -> None:
    for path in tracked():
        if path.name.endswith(".lock"):
            assert not re.search(r"https?://|index-url", path.read_text(encoding="utf-8")), ids(path)


def test_nothing_names_a_machine() -> None:
    """Absolute paths of somebody's machine, and hosts of package registries."""
    machine = re.compile(
        r"(?:^|[\s\"'=(])/(?:work|root|home/\w+|Users/\w+)/|"
        + "pypi"
        + r"\.org|files\.pythonhosted|"
        + "repo1"
        + r"\.maven|registry\.npmjs",
        re.M,
    )
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path != Path(__file__) and machine.search(text):
            found.append(ids(path))
    assert found == []
