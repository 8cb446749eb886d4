"""What a request is: service, operation and access key, read from its head, before moto sees it. Called by `front`.

JSON services name the operation in X-Amz-Target, RPC ones in the path, query ones as Action; REST ones are matched against
botocore's own models, the most specific route first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from meshplane_cli.local import sessions

REST = {"s3": "s3", "lambda": "lambda", "scheduler": "scheduler"}
QUERY = frozenset({"iam", "sts", "sns", "ec2", "cloudformation"})
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/[^/]*/([^/]+)/aws4_request")
_RPC = re.compile(r"^/service/[^/]+/operation/([A-Za-z0-9]+)$")
_READS = (
    "Get",
    "List",
    "Describe",
    "Head",
    "BatchGet",
    "Query",
    "Scan",
    "Search",
    "TestEventPattern",
    "Simulate",
    "FilterLogEvents",
    "AssumeRole",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, by the name under which it is signed (`states`, `monitoring`); `access_key` is empty for an unsigned one."""

    service: str
    operation: str
    access_key: str

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.operation.startswith(_READS)


def asked_of(environ: Mapping[str, Any], body_of: Any) -> Asked:
    """Read a WSGI request; `body_of()` gives its body's text and is asked only for query services."""
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    key, service = _signer(environ, query)
    target, path = environ.get("HTTP_X_AMZ_TARGET", ""), environ.get("PATH_INFO", "/")
    rpc = _RPC.match(path)
    if target:
        return Asked(service, target.rpartition(".")[2], key)
    if rpc:
        return Asked(service, rpc[1], key)
    if service in REST:
        headers = {name[5:].replace("_", "-").lower() for name in environ if name.startswith("HTTP_")}
        return Asked(service, _route(service, environ["REQUEST_METHOD"], path, query, headers), key)
    action = (query.get("Action") or parse_qs(body_of()).get("Action") or [""])[0]
    return Asked(service, action, key)


def _signer(environ: Mapping[str, Any], query: Mapping[str, list[str]]) -> tuple[str, str]:
    found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if found:
        return found[1], "events" if found[2] == "eventbridge" else found[2].lower()
    presigned = query.get("X-Amz-Credential", [""])[0].split("/")
    return (presigned[0], presigned[3]) if len(presigned) == 5 else ("", "s3")


@dataclass(frozen=True, slots=True)
class _Route:
    operation: str
    method: str
    path: re.Pattern[str]
    query: tuple[tuple[str, str], ...]
    required_query: tuple[str, ...]
    required_headers: tuple[str, ...]

    @property
    def weight(self) -> tuple[int, int, int]:
        """More conditions first, then the longer path, then the longer (newer) name."""
        conditions = len(self.query) + len(self.required_query) + len(self.required_headers)
        return conditions, len(self.path.pattern), len(self.operation)


@cache
def _routes(service: str) -> tuple[_Route, ...]:
    model = sessions.model(REST[service])
    routes = [_route_of(model.operation_model(name)) for name in model.operation_names if name != "ListDirectoryBuckets"]  # by host only
    return tuple(sorted(routes, key=lambda route: route.weight, reverse=True))


def _route_of(operation: Any) -> _Route:
    path, _, constants = operation.http["requestUri"].partition("?")
    # An ARN's slashes arrive decoded: WSGI unquotes the path before anyone sees it.
    labels = re.compile(r"\\\{([A-Za-z]+)(\\\+)?\\\}")
    pattern = labels.sub(lambda label: ".+" if label[2] or label[1].lower().endswith("arn") else "[^/]+", re.escape(path))
    shape = operation.input_shape
    where: dict[str, list[str]] = {"querystring": [], "header": []}
    for name in shape.required_members if shape is not None else ():
        member = shape.members[name].serialization
        if member.get("location") in where:
            where[member["location"]].append(member["name"])
    constant = tuple((name, values[0]) for name, values in parse_qs(constants, keep_blank_values=True).items() if name != "x-id")
    headers = tuple(name.lower() for name in where["header"])
    return _Route(
        operation.name, operation.http["method"], re.compile(f"^{pattern}/?$", re.DOTALL), constant, tuple(where["querystring"]), headers
    )


def _route(service: str, method: str, path: str, query: Mapping[str, list[str]], headers: set[str]) -> str:
    for route in _routes(service):
        if (
            route.method == method
            and route.path.match(path)
            and all(name in query and (not value or query[name][0] == value) for name, value in route.query)
            and all(name in query for name in route.required_query)
            and all(name in headers for name in route.required_headers)
        ):
            return route.operation
    return ""
