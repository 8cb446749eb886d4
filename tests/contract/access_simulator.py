"""A second opinion on access, for tests only: a finite universe of requests, and each policy as sets of bits over it.

Nothing of `meshplane_cli.local.access` is used: no regular expressions, no walk through statements for each request. Every pattern
becomes the set of requests that it covers, a policy is `(allowed & ~denied)`, a role is its policies `& boundary`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from meshplane.model.access import Access
from meshplane.model.context import Context, Neighbour, SharedTable
from meshplane.model.project import Job, JobStep, Pipeline, Project, TableRef, Write
from meshplane_cli.local.seed_policies import document
from meshplane_cli.local.template.deployment import translated
from meshplane_cli.local.template.intrinsics import ABSENT, Evaluator
from meshplane_cli.machines import with_machines
from tests.unit.kinds import sample

ROOT = Path(__file__).resolve().parents[2]
NAMING = sample.NAMING
BOUNDARY_ARN = sample.BASELINE.boundary_arn


@dataclass(frozen=True)
class Ask:
    """One request that somebody could make."""

    action: str
    resource: str
    keys: tuple[tuple[str, str], ...] = ()


def ask(action: str, resource: str, **keys: str) -> Ask:
    """`iam__PassedToService="glue.amazonaws.com"` gives a condition key."""
    return Ask(action, resource, tuple(sorted((key.replace("__", ":").lower(), value) for key, value in keys.items())))


@cache
def glob(pattern: str, text: str) -> bool:
    """By pieces between the stars, found from left to right; `?` compares with any letter."""
    pieces = pattern.split("*")
    if len(pieces) == 1:
        return _same(pattern, text)
    head, tail = pieces[0], pieces[-1]
    if len(text) < len(head) + len(tail) or not _same(head, text[: len(head)]) or not _same(tail, text[len(text) - len(tail) :]):
        return False
    place, end = len(head), len(text) - len(tail)
    for piece in pieces[1:-1]:
        place = next((at for at in range(place, end - len(piece) + 1) if _same(piece, text[at : at + len(piece)])), -1)
        if place < 0:
            return False
        place += len(piece)
    return True


def _same(piece: str, text: str) -> bool:
    return len(piece) == len(text) and all(one in ("?", other) for one, other in zip(piece, text, strict=True))


def listed(value: Any) -> list[str]:
    return [str(value)] if isinstance(value, str | bool) else [str(one) for one in value]


@dataclass
class Universe:
    """All requests, numbered; bit n of a set stands for request n."""

    asks: Sequence[Ask]
    _covered: dict[tuple[str, str], int] = field(default_factory=dict)

    def bits(self, chosen: Iterable[Ask]) -> int:
        wanted = set(chosen)
        return sum(1 << number for number, one in enumerate(self.asks) if one in wanted)

    def names(self, bits: int) -> list[Ask]:
        return [one for number, one in enumerate(self.asks) if bits >> number & 1]

    def may(self, documents: Iterable[Mapping[str, Any]], boundary: Mapping[str, Any] | None = None) -> int:
        """What the documents of one role allow it."""
        allowed = denied = 0
        for each in documents:
            plus, minus = self._document(each)
            allowed, denied = allowed | plus, denied | minus
        if boundary is not None:
            plus, minus = self._document(boundary)
            allowed, denied = allowed & plus, denied | minus
        return allowed & ~denied

    def _document(self, body: Mapping[str, Any]) -> tuple[int, int]:
        sums = {"Allow": 0, "Deny": 0}
        for row in body["Statement"]:
            assert set(row) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, f"the simulator does not know {set(row)}"
            meant = self._any("action", listed(row["Action"])) & self._any("resource", listed(row["Resource"]))
            for operator, conditions in row.get("Condition", {}).items():
                for key, values in conditions.items():
                    meant &= self._condition(operator, key.lower(), listed(values))
            sums[row["Effect"]] |= meant
        return sums["Allow"], sums["Deny"]

    def _any(self, part: str, patterns: list[str]) -> int:
        return self._union(self._one(part, pattern) for pattern in patterns)

    def _one(self, part: str, pattern: str) -> int:
        if (part, pattern) not in self._covered:
            fold = part == "action"
            wanted = pattern.lower() if fold else pattern
            rows = (getattr(one, part) for one in self.asks)
            self._covered[part, pattern] = self._numbers(glob(wanted, row.lower() if fold else row) for row in rows)
        return self._covered[part, pattern]

    def _condition(self, operator: str, key: str, wanted: list[str]) -> int:
        """The operators in use, each as a set; a missing key is in none but that of ForAllValues."""
        rows = [dict(one.keys).get(key) for one in self.asks]
        if operator == "StringEquals":
            return self._numbers(row in wanted for row in rows)
        if operator in ("StringLike", "ArnLike", "ArnEquals"):
            return self._numbers(row is not None and any(glob(one, row) for one in wanted) for row in rows)
        assert operator == "ForAllValues:StringEquals", f"the simulator does not know {operator}"
        return self._numbers(row is None or row in wanted for row in rows)

    @staticmethod
    def _union(sets: Iterable[int]) -> int:
        found = 0
        for one in sets:
            found |= one
        return found

    @staticmethod
    def _numbers(flags: Iterable[bool]) -> int:
        return sum(1 << number for number, flag in enumerate(flags) if flag)


# ---- the documents of every role, as they are deployed -------------------------------------------------------------------------------
def boundary() -> dict[str, Any]:
    return dict(json.loads(document("boundary", NAMING)))


def of_project(project: Project, context: Context) -> dict[str, Mapping[str, Any]]:
    """Purpose → document."""
    access = Access(project, context)
    return {"job": access.job(), "optimizer": access.optimizer(), "pipeline": access.pipeline()}


def of_ci() -> dict[str, Mapping[str, Any]]:
    return {purpose: json.loads(document(f"ci_{purpose}", NAMING)) for purpose in ("deploy", "plan")}


@cache
def of_functions() -> dict[str, list[Mapping[str, Any]]]:
    """Those of this checkout."""
    return functions_of(ROOT)


def functions_of(root: Path) -> dict[str, list[Mapping[str, Any]]]:
    """`reconcile-project` → the documents of its role, from template.yaml with every reference resolved."""
    parameters = {
        "Env": "dev",
        "DomainAbbr": "f01",
        "CountryCode": "de",
        "BoundaryArn": BOUNDARY_ARN,
        "KmsKeyArn": sample.BASELINE.kms_key_arn,
    }
    body = translated(with_machines((root / "template.yaml").read_text(encoding="utf-8"), root), parameters, NAMING.region)
    resources: Mapping[str, Any] = body["Resources"]
    known = {
        "AWS::Region": NAMING.region,
        "AWS::AccountId": NAMING.account_id,
        "AWS::Partition": "aws",
        "AWS::NoValue": ABSENT,
        **parameters,
    }

    def refer(name: str) -> Any:
        return known[name] if name in known else arn(name, "Ref")

    def arn(logical: str, attribute: str) -> str:
        properties = evaluate.value(
            {key: resources[logical]["Properties"][key] for key in NAMES if key in resources[logical]["Properties"]}
        )
        name = next(iter(properties.values()))
        return {
            "AWS::SQS::Queue": NAMING.arn("sqs", name),
            "AWS::DynamoDB::Table": NAMING.arn("dynamodb", f"table/{name}"),
            "AWS::Logs::LogGroup": NAMING.arn("logs", f"log-group:{name}:*"),
            "AWS::SNS::Topic": NAMING.arn("sns", name),
            "AWS::Lambda::Function": NAMING.arn("lambda", f"function:{name}"),
            "AWS::StepFunctions::StateMachine": NAMING.arn("states", f"stateMachine:{name}"),
            "AWS::IAM::Role": f"arn:aws:iam::{NAMING.account_id}:role/{name}",
        }[resources[logical]["Type"]]

    evaluate = Evaluator(refer, arn, body.get("Conditions", {}))
    found: dict[str, list[Mapping[str, Any]]] = {}
    for resource in resources.values():
        if resource["Type"] == "AWS::IAM::Role":
            role = evaluate.value(resource["Properties"])
            name = role["RoleName"].removeprefix("f01-meshplane-").removesuffix("-dev")
            found[name] = [policy["PolicyDocument"] for policy in role["Policies"]]
    return found


def project(name: str) -> Project:
    """One job that reads a raw table and writes a refined one, a secret, a pipeline that gives notice."""
    reads = (TableRef(name, "raw"), *((TableRef("customers", "contacts"),) if name == "sales" else ()))
    job = Job("load", script="jobs/load.py", reads=reads, writes=(Write("orders", "merge"),), secrets={"api": "api"})
    return Project(
        name,
        tables={"raw": replace(sample.RAW, name="raw"), "orders": sample.table("orders")},
        jobs={"load": job},
        pipelines={"daily": Pipeline("daily", steps=(JobStep("load"),), notify="domain")},
    )


def neighbours() -> dict[str, Neighbour]:
    """What other projects share with these."""
    shared: SharedTable = sample.CONTACTS
    return {"customers": Neighbour("customers", True, {"contacts": shared}, ("daily",))}


def every_action() -> list[str]:
    """What is asked of every role: all that a role is granted. `tests/e2e/recorded.py` fails by a recorded call that is not among them."""
    documents = [document for documents in of_functions().values() for document in documents]
    documents += of_project(project("sales"), replace(sample.CONTEXT, neighbours=neighbours())).values()
    return sorted({action for document in documents for action in granted(document)})


def granted(document: Mapping[str, Any]) -> set[str]:
    """The actions of a document's allowing statements."""
    return {action for row in document["Statement"] if row["Effect"] == "Allow" for action in listed(row["Action"])}


NAMES = ("FunctionName", "QueueName", "TableName", "LogGroupName", "TopicName", "RoleName", "StateMachineName")
