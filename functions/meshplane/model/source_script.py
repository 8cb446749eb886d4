"""What a source's own script is asked and may answer: the next request, and the records of an answer. Pure.

The script says which request comes next as path, query and body below the declared URL; host, credentials, pace and caps stay declared.
Called by `flows.ingest_api` at run time, and by the command line's `validate` for the functions of a file.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from meshplane.errors import ScriptFailed
from meshplane.model.sources import Rest, with_params

FUNCTIONS: Mapping[str, tuple[str, ...]] = {"first": ("run",), "next": ("run", "request", "answer"), "records": ("body",)}
REQUEST = "{'path': '/orders', 'query': {'page': 2}, 'body': {…}}, each of them optional, or None"
MAX_URL = 8192
_PATH = r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?"  # RFC 3986's characters of a path


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its URL, and what a script's are made of: `words` as it said them, `sent` its body as text, empty for a GET."""

    url: str
    words: Mapping[str, Any] | None = None
    sent: str = ""


def asked(rest: Rest, words: Any, file: str, function: str) -> Asked | None:
    """The request that a function answered; None ends the paging. Raises ScriptFailed for what is no request below the declared URL."""

    def no(what: str, found: Any) -> ScriptFailed:
        return ScriptFailed(f"{file}: `{function}` answered {what}: {json.dumps(found)[:200]}; allowed: {REQUEST}")

    if words is None:
        return None
    if not isinstance(words, dict):
        raise no("no request", words)
    if extra := sorted(set(words) - {"path", "query", "body"}):
        raise no("words that no request has (where it goes and how it is sent is declared)", extra)
    path, query = words.get("path") or "", words.get("query") or {}
    if not isinstance(path, str) or not re.fullmatch(_PATH, path) or not _stays(unquote(path)):
        raise no("no path below the declared URL", path)
    if not isinstance(query, dict) or not all(isinstance(value, str | int) and not isinstance(value, bool) for value in query.values()):
        raise no("a query whose values are not all text or whole numbers", query)
    parts = urlsplit(rest.url)
    url = urlunsplit(parts._replace(path=(parts.path.rstrip("/") + path) if path else parts.path))
    params = {**rest.params, **{name: str(value) for name, value in query.items()}}
    url = with_params(url, params) if params else url
    if len(url) > MAX_URL:
        raise no(f"a request whose URL has more than {MAX_URL} characters", url)
    body = words.get("body")
    return Asked(url, words, "" if body is None else json.dumps(body, ensure_ascii=False))


def _stays(path: str) -> bool:
    return not any(part in (".", "..") for part in path.split("/")) and path.isprintable() and "\\" not in path


def records(value: Any, file: str) -> list[dict[str, Any]]:
    """What `records` answered. Raises ScriptFailed for what is no list of objects."""
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        found = "a list with something else in it" if isinstance(value, list) else type(value).__name__
        raise ScriptFailed(f"{file}: `records` answered {found}; allowed: a list of objects, [] for none")
    return value


@dataclass(frozen=True, slots=True)
class WrongFunction:
    """A function that is not there (`line` 0), or takes other arguments."""

    name: str
    line: int
    found: str

    @property
    def allowed(self) -> str:
        """How it is declared."""
        return f"def {self.name}({', '.join(FUNCTIONS[self.name])}):"


def wrong_functions(text: str) -> Iterator[WrongFunction]:
    """What is missing in a valid file. Starlark's grammar is a part of Python's, so that Python's parser finds what it defines."""
    tree = ast.parse(text)
    made = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, arguments in FUNCTIONS.items():
        node = made.get(name)
        if node is None:
            yield WrongFunction(name, 0, ", ".join(made) or "no function")
        elif [one.arg for one in node.args.args] != list(arguments) or node.args.vararg or node.args.kwarg or node.args.kwonlyargs:
            yield WrongFunction(name, node.lineno, f"def {name}({ast.unparse(node.args)}):")
