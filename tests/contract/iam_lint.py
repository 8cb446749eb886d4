"""Findings of one policy document, by the service authorization data that cfn-lint brings: what AWS would take and never apply.

cfn-lint itself reads only CloudFormation; the documents that the reconciler and Terraform write come from elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from tests.contract.access_simulator import glob, listed

# Condition key → the actions that carry it ("*": every request). Service Authorization Reference and the IAM user guide, "AWS global
# condition context keys"; cfn-lint's data has the keys of resources only.
KEYS: Mapping[str, tuple[str, ...]] = {
    "aws:PrincipalArn": ("*",),
    "aws:PrincipalAccount": ("*",),
    "aws:ResourceAccount": ("*",),
    "aws:SecureTransport": ("*",),
    "aws:SourceAccount": ("*",),
    "aws:SourceArn": ("*",),
    "aws:TagKeys": ("*",),
    "s3:prefix": ("s3:ListBucket", "s3:ListBucketVersions"),
    "s3:TlsVersion": ("s3:*",),
    "iam:PassedToService": ("iam:PassRole",),
    "iam:PermissionsBoundary": (
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRolePermissionsBoundary",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
    ),
    "cloudwatch:namespace": ("cloudwatch:PutMetricData",),
    "kms:ViaService": ("kms:*",),
    "kms:EncryptionContext:aws:logs:arn": ("kms:*",),
    "ec2:Subnet": ("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:CreateNetworkInterfacePermission"),
    "token.actions.githubusercontent.com:aud": ("sts:AssumeRoleWithWebIdentity",),
    "token.actions.githubusercontent.com:sub": ("sts:AssumeRoleWithWebIdentity",),
}
# Where the data says too little: an object has a slash; the one resource of PutMetricData is a dataset of OpenTelemetry, which nobody has.
OBJECT = ("arn:aws:s3:::*/*",)
FORMS: Mapping[str, tuple[str, ...]] = {
    "cloudwatch:putmetricdata": (),
    **{f"s3:{word}object": OBJECT for word in ("get", "put", "delete")},
    **{f"s3:{word}objectversion": OBJECT for word in ("get", "delete")},
}
OPERATORS = {
    "ArnEquals",
    "ArnLike",
    "Bool",
    "NumericLessThan",
    "StringEquals",
    "StringLike",
    "StringNotEquals",
    "ForAllValues:StringEquals",
}
# What makes or widens a role: of a project's roles nobody may but with their boundary (REQUIREMENTS B4).
WIDENING = tuple(
    f"iam:{word}"
    for word in ("AttachRolePolicy", "CreateRole", "DeleteRolePermissionsBoundary", "PutRolePermissionsBoundary", "PutRolePolicy")
)
PROJECT_ROLES = "meshplane/projects/*"  # the path and name of such a role
ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}


@cache
def services() -> dict[str, Any]:
    text = (files("cfnlint.data.AdditionalSpecs") / "Policies.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def findings(document: Mapping[str, Any], of_resource: bool = False) -> list[str]:
    """One line for each; `of_resource`: a bucket's, key's or role's own policy, whose resource is implied or its own."""
    found = [] if document.get("Version") == "2012-10-17" else ["Version is not 2012-10-17"]
    sids = [row.get("Sid", "") for row in document["Statement"]]
    found += [f"{sid}: two statements are called so" for sid in sorted(set(sids)) if sid and sids.count(sid) > 1]
    for row in document["Statement"]:
        found += [f"{row.get('Sid', '?')}: {problem}" for problem in _of_statement(row, of_resource)]
    return found


def _of_statement(row: Mapping[str, Any], of_resource: bool) -> Iterator[str]:
    if set(row) - ELEMENTS:
        yield f"{', '.join(sorted(set(row) - ELEMENTS))} is not used here"
    if not re.fullmatch(r"[A-Za-z0-9]+", row.get("Sid", "x")):
        yield "a Sid has letters and digits only"
    actions = listed(row["Action"])
    if "*" in actions:
        yield "* allows what nobody has read"
        return
    yield from (f"{action} is no action of AWS" for action in actions if not _matching(action))
    if not of_resource:
        yield from _unbounded(row, actions)
        yield from _resources(row, {action: _matching(action) for action in actions if _matching(action)})
    yield from _conditions(row, actions)


def _matching(action: str) -> list[str]:
    service, _, word = action.lower().partition(":")
    names = services().get(service, {}).get("Actions", {})
    return [f"{service}:{name}" for name in names if glob(word, name)]


def _resources(row: Mapping[str, Any], actions: Mapping[str, list[str]]) -> Iterator[str]:
    """A pattern of actions is content with what one of them takes; a denial may name more than there is."""
    resources, allows = listed(row["Resource"]), row["Effect"] == "Allow"
    forms = {action: [form for name in names for form in _formats(name)] for action, names in actions.items()}
    none = {action for action, names in actions.items() if any(not _formats(name) for name in names)}
    if "*" in resources:
        yield from (f"{action} takes a resource; it must not have *" for action in sorted(set(forms) - none) if allows)
        return
    fitting = {action: {one for one in resources if any(_fits(one, form) for form in forms[action])} for action in forms}
    yield from (f"{one} is no resource of these actions" for one in resources if not any(one in ones for ones in fitting.values()))
    for action, ones in sorted(fitting.items()):
        if allows and not ones:
            yield f"{action} takes no resource; only * applies" if not forms[action] else f"{action} is given no resource of its kind"


def _unbounded(row: Mapping[str, Any], actions: list[str]) -> Iterator[str]:
    """Also where the pattern only may mean such a role."""
    bound = row.get("Condition", {}).get("StringEquals", {}).get("iam:PermissionsBoundary")
    names = [one.partition(":role/")[2] or "*" for one in listed(row["Resource"])]
    if row["Effect"] != "Allow" or bound or not any(_meet(name, PROJECT_ROLES) for name in names):
        return
    widening = [action for action in actions if any(glob(action.lower(), one.lower()) for one in WIDENING)]
    yield from (f"{action} reaches the roles of projects without their boundary" for action in widening)


def _formats(action: str) -> tuple[str, ...]:
    service, _, word = action.partition(":")
    kinds = services()[service]["Actions"][word].get("Resources", ())
    if action in FORMS:
        return FORMS[action]
    known = {kind.lower(): row for kind, row in services()[service]["Resources"].items()}
    return tuple(form for kind in kinds for form in known.get(kind.lower(), {}).get("ARNFormats", ()))


def _fits(resource: str, form: str) -> bool:
    """Whether some resource of that form is meant."""
    one, other = resource.split(":")[2:3], form.split(":")[2:3]
    return (one == other or "*" in one) and _meet(resource, re.sub(r"\$\{[A-Za-z]+\}|\.\*", "*", form))


@cache
def _meet(one: str, other: str) -> bool:
    """Whether two patterns with `*` and `?` have a text in common."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "*":
        return _meet(one, other[1:]) or _meet(one[1:], other)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and _meet(one[1:], other[1:])


def _conditions(row: Mapping[str, Any], actions: list[str]) -> Iterator[str]:
    for operator, keys in row.get("Condition", {}).items():
        if operator not in OPERATORS:
            yield f"{operator} is no operator in use"
        for key in keys:
            if key not in KEYS:
                yield f"{key} is no condition key in use"
                continue
            carried = KEYS[key]
            yield from (
                f"{action} does not carry {key}"
                for action in actions
                if not any(one == "*" or glob(one.lower(), action.lower()) or glob(action.lower(), one.lower()) for one in carried)
            )
