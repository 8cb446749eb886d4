"""Policy documents, and what one says of one request: allow, deny, wildcards, their negations, conditions. Pure; called by `judge`.

IAM user guide, "IAM JSON policy elements reference". What the documents of this repository do not use (policy variables, dates, session
policies) raises ValueError where it is read: a policy that is half understood must not decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

Context = Mapping[str, Sequence[str]]
"""Condition key in lower case → its values; a key that the request does not carry is absent."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `principals` is empty for an identity's policy, else (kind, value) pairs such as ("AWS", "*")."""

    name: str
    allows: bool
    actions: tuple[str, ...]  # in lower case, as not_actions
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    principals: tuple[tuple[str, str], ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    def covers(self, action: str, resource: str) -> bool:
        """Whether action and resource are meant, conditions aside. Actions compare without case, resources with it."""
        action = action.lower()
        if not (_any(action, self.actions) if self.actions else not _any(action, self.not_actions)):
            return False
        return _any(resource, self.resources) if self.resources else not _any(resource, self.not_resources)

    def holds(self, context: Context) -> bool:
        """Whether every condition is met."""
        return all(_met(operator, context.get(key.lower()), values) for operator, key, values in self.conditions)


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed document."""

    statements: tuple[Statement, ...]

    def deciding(self, action: str, resource: str, context: Context) -> tuple[str, str]:
        """(name of the statement that allows, name of the one that denies); the empty text where there is none."""
        allowed = denied = ""
        for one in self.statements:
            if one.covers(action, resource) and one.holds(context):
                if one.allows:
                    allowed = allowed or one.name
                else:
                    denied = denied or one.name
        return allowed, denied

    def speaking_to(self, names: Iterable[str]) -> Policy:
        """The statements of a resource's policy whose principal is one of `names` (ARNs, or "*")."""
        known = set(names)
        return Policy(tuple(one for one in self.statements if any(kind == "AWS" and value in known for kind, value in one.principals)))


@lru_cache(maxsize=4096)
def parsed(document: str) -> Policy:
    """A document's text, parsed once for each version of it. Raises ValueError for what is not understood."""
    body = json.loads(document)
    rows = body["Statement"] if isinstance(body["Statement"], list) else [body["Statement"]]
    return Policy(tuple(_statement(row, index) for index, row in enumerate(rows)))


def _statement(row: Mapping[str, Any], index: int) -> Statement:
    known = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"}
    if set(row) - known:
        raise ValueError(f"statement {row.get('Sid', index)}: {', '.join(sorted(set(row) - known))} is not understood by this evaluator")
    principal = row.get("Principal", {})
    pairs = {"AWS": "*"} if principal == "*" else principal
    conditions = [(operator, key, _listed(values)) for operator, keys in row.get("Condition", {}).items() for key, values in keys.items()]
    for operator, _, values in conditions:
        _comparer(_plain(operator))
        if any("${" in value for value in values):
            raise ValueError(f"statement {row.get('Sid', index)}: policy variables are not understood by this evaluator")
    return Statement(
        str(row.get("Sid") or f"statement {index + 1}"),
        {"Allow": True, "Deny": False}[row["Effect"]],
        tuple(one.lower() for one in _listed(row.get("Action", ()))),
        tuple(one.lower() for one in _listed(row.get("NotAction", ()))),
        _listed(row.get("Resource", ())),
        _listed(row.get("NotResource", ())),
        tuple((kind, value) for kind, values in pairs.items() for value in _listed(values)),
        tuple(conditions),
    )


def _listed(value: Any) -> tuple[str, ...]:
    rows = value if isinstance(value, list | tuple) else (value,)
    return tuple(str(row).lower() if isinstance(row, bool) else str(row) for row in rows)


def fits(value: str, pattern: str) -> bool:
    """`*` stands for any letters, slashes and colons too, `?` for one."""
    return pattern == value or bool(_pattern(pattern).fullmatch(value))


def _any(value: str, patterns: Iterable[str]) -> bool:
    return any(fits(value, pattern) for pattern in patterns)


@lru_cache(maxsize=8192)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern), re.DOTALL)


# ---- conditions ------------------------------------------------------------------------------------------------------------------
def _arn_like(value: str, pattern: str) -> bool:
    """Each of the six parts by itself: no wildcard reaches over a colon of the first five."""
    mine, theirs = value.split(":", 5), pattern.split(":", 5)
    return len(mine) == len(theirs) and all(fits(one, other) for one, other in zip(mine, theirs, strict=True))


_COMPARERS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": fits,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": lambda value, wanted: float(value) == float(wanted),
    "NumericLessThan": lambda value, wanted: float(value) < float(wanted),
    "NumericLessThanEquals": lambda value, wanted: float(value) <= float(wanted),
    "NumericGreaterThan": lambda value, wanted: float(value) > float(wanted),
    "NumericGreaterThanEquals": lambda value, wanted: float(value) >= float(wanted),
    "IpAddress": lambda value, wanted: ip_address(value) in ip_network(wanted),
    "Null": lambda value, wanted: True,
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "NotIpAddress": "IpAddress",
}


def _plain(operator: str) -> str:
    return operator.rpartition(":")[2].removesuffix("IfExists")


def _comparer(operator: str) -> Callable[[str, str], bool]:
    found = _COMPARERS.get(_NEGATED.get(operator, operator))
    if found is None:
        raise ValueError(f"the condition operator {operator} is not understood by this evaluator")
    return found


def _met(operator: str, present: Sequence[str] | None, wanted: Sequence[str]) -> bool:
    """One operator on one key. A missing key fails a comparison, and passes a negated one, `IfExists` and ForAllValues."""
    quantifier, plain = operator.rpartition(":")[0], _plain(operator)
    if plain == "Null":
        return (present is None) == (wanted[0] == "true")
    negated = plain in _NEGATED
    if not present:
        return negated or operator.endswith("IfExists") or quantifier == "ForAllValues"
    compare = _comparer(plain)
    met = [any(compare(value, one) for one in wanted) != negated for value in present]
    return all(met) if quantifier == "ForAllValues" else any(met)
