"""No role of a project reaches another project or the platform, none lacks what is its own, and no chain leads to more rights.

Decided by `access_simulator`, which shares nothing with the embedded AWS's evaluator; the last test holds one against the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from meshplane.model.manifest import load
from meshplane.model.naming import is_project
from meshplane_cli.local.access.policy import parsed
from tests.contract import access_simulator as sim
from tests.contract.access_simulator import BOUNDARY_ARN, NAMING, Ask, Universe, ask, every_action, neighbours, project
from tests.unit.kinds import sample

PROJECTS = ("sales", "sales2", "sal", "customers", "iceberg")  # names that begin alike, and one that is a word of the paths
PURPOSES = ("job", "optimizer", "pipeline")
LAYERS = ("raw", "refined", "curated")
ACCOUNT = NAMING.account_id


def arn(service: str, resource: str) -> str:
    return NAMING.arn(service, resource)


def bucket(purpose: str) -> str:
    return f"arn:aws:s3:::{NAMING.bucket(purpose)}"


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


# Actions that take no resource: a request with one does not exist (Service Authorization Reference).
RESOURCELESS = {
    *(f"logs:{word}LogDelivery" for word in ("Create", "Get", "Update", "Delete")),
    *("logs:ListLogDeliveries", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups", "iam:GetAccountAuthorizationDetails"),
    *("tag:GetResources", "events:ListRules", "scheduler:ListSchedules", "states:ListStateMachines", "cloudwatch:PutMetricData"),
}


FUNCTIONS = (
    "reconcile-project",
    "sweep-projects",
    "record-run",
    "plan-project",
    "restore-table",
    "watch-tables",
)  # which no project may invoke
OF_NOBODY = {"s3:GetBucketLocation", "glue:GetConnection"}  # the Region of a layer's bucket, the network: every project's jobs may ask


# ---- the universe: what belongs to a project, and what to the platform ----------------------------------------------------------------
def s3_paths(name: str) -> dict[str, list[str]]:
    """`data`, `files` and `temp` of a project, as object ARNs."""
    data = [f"{bucket(layer)}/{name}/iceberg/orders/data/0.parquet" for layer in LAYERS]
    data += [f"{bucket('raw')}/{name}/raw/dt=1/a.csv", f"{bucket('refined')}/{name}/_runs/1/load.json"]
    return {
        "data": data,
        "files": [f"{bucket('artifacts')}/{name}/files/{'0' * 64}/load.py"],
        "temp": [f"{bucket('artifacts')}/glue-temp/{name}/x"],
    }


def belongs(name: str, action: str) -> list[Ask]:
    """The requests with which an action would touch a project's own things."""
    if action in RESOURCELESS | OF_NOBODY:
        return []
    service, _, word = action.partition(":")
    if service == "s3" and "Bucket" in word:
        rows = [ask(action, bucket(layer), s3__prefix=f"{name}/{rest}") for layer in LAYERS for rest in ("", "orders/", "_runs/1/")]
        return [*rows, ask(action, bucket("artifacts"), s3__prefix=f"glue-temp/{name}/x")]
    if service == "s3":
        return [ask(action, path) for paths in s3_paths(name).values() for path in paths]
    if service == "iam":
        return list(_iam(action, [f"meshplane/projects/{NAMING.role(purpose, name)}" for purpose in PURPOSES]))
    if service == "glue":
        resources = [f"table/{NAMING.database(layer)}/{name}_orders" for layer in LAYERS] + [f"job/{NAMING.job(name, 'load')}"]
        return [ask(action, arn("glue", one)) for one in resources]
    named = {
        "states": [f"stateMachine:{NAMING.state_machine(name, 'daily')}", f"execution:{NAMING.state_machine(name, 'daily')}:1"],
        "logs": [f"log-group:{NAMING.pipeline_log_group(name, 'daily')}:log-stream:x"],
        "events": [f"rule/{NAMING.rule(name, 'daily', 'landed')}"],
        "scheduler": [f"schedule/{NAMING.schedule_group(name)}/daily-x", f"schedule-group/{NAMING.schedule_group(name)}"],
        "secretsmanager": [f"secret:{NAMING.of('secret', project=name, name='api')}-AbCdEf"],
        "ssm": [f"parameter{NAMING.of('parameter', project=name, name='x')}"],
    }
    return [ask(action, arn(service, one)) for one in named.get(service, ())]


def _iam(action: str, names: Iterable[str]) -> Iterator[Ask]:
    for name in names:
        if action == "iam:PassRole":
            yield from (ask(action, role(name), iam__PassedToService=f"{to}.amazonaws.com") for to in ("glue", "states", "lambda", "ec2"))
        else:
            yield ask(action, role(name))
            yield ask(action, role(name), iam__PermissionsBoundary=BOUNDARY_ARN)


def platform(action: str) -> list[Ask]:
    """The requests with which an action would touch what is the domain's own."""
    if action in RESOURCELESS | OF_NOBODY:
        return []
    service, _, word = action.partition(":")
    artifacts = bucket("artifacts")
    if service == "s3" and "Bucket" in word:
        return [ask(action, bucket(one), s3__prefix="manifests/") for one in ("artifacts", "logs")] + [
            ask(action, one) for one in map(bucket, LAYERS)
        ]
    if service == "s3":
        keys = ("manifests/sales/project.yaml", "manifests/sales/files/load.py", "releases/sales/1.json", "status/sales.json")
        return [ask(action, f"{artifacts}/{key}") for key in keys] + [ask(action, f"{bucket('logs')}/s3/raw/1")]
    if service == "iam":
        return list(_iam(action, ("f01-meshplane-reconcile-project-dev", "f01-meshplane-scheduler-dev", "f01-ci-deploy-dev", "Admin")))
    named = {
        "dynamodb": ["table/f01-meshplane-state-dev", "table/f01-meshplane-state-dev/index/due"],
        "sqs": ["f01-meshplane-reconcile-dev.fifo", "f01-meshplane-trigger-dev", "f01-meshplane-target-dlq-dev"],
        "ssm": ["parameter/f01/dev/baseline/kms_key_arn", "parameter/f01/dev/platform/release"],
        "secretsmanager": ["secret:f02/dev/x/y-AbCdEf", "secret:root-AbCdEf"],
        "lambda": [f"function:f01-meshplane-{one}-dev" for one in FUNCTIONS],
        "states": [*(f"stateMachine:f01-meshplane-{one}-dev" for one in ("watchdog", "roll-back")), "stateMachine:f02-x-pipeline-y-dev"],
        "events": ["rule/f01-meshplane-manifest-dev", "event-bus/default"],
        "logs": ["log-group:/aws/lambda/f01-meshplane-start-run-dev:log-stream:x"],
        "glue": ["table/f02_de_refined/x_y", "job/f02-x-y-dev", "database/other"],
    }  # fmt: skip
    return [ask(action, arn(service, one)) for one in named.get(service, ())]


ACTIONS = every_action()
MISUSE = [  # what no suite records, because nobody is to do it
    *("s3:PutBucketPolicy", "s3:DeleteBucket", "s3:DeleteObjectVersion", "glue:DeleteTable", "glue:UpdateJob", "glue:DeleteJob"),
    *("iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary", "iam:UpdateAssumeRolePolicy"),
    *("iam:DeleteRolePolicy", "iam:DeleteRole", "sts:AssumeRole", "states:DeleteStateMachine", "states:UpdateStateMachine"),
    *("states:StopExecution", "events:DeleteRule", "events:RemoveTargets", "scheduler:DeleteSchedule", "logs:DeleteLogGroup"),
    *("secretsmanager:PutSecretValue", "ssm:PutParameter", "dynamodb:DeleteItem", "lambda:InvokeFunction", "lambda:UpdateFunctionCode"),
    "sqs:PurgeQueue",
]


@pytest.fixture(scope="module")
def universe() -> Universe:
    asked = [one for action in (*ACTIONS, *MISUSE) for name in PROJECTS for one in belongs(name, action)]
    asked += [one for action in (*ACTIONS, *MISUSE) for one in platform(action)]
    asked += [one for chain in CHAINS.values() for _, one in chain]
    return Universe(list(dict.fromkeys(asked)))


@pytest.fixture(scope="module")
def may(universe: Universe) -> dict[tuple[str, str], int]:
    """(project, purpose) → what its role may, within the boundary."""
    found = {}
    for name in PROJECTS:
        context = replace(sample.CONTEXT, neighbours=neighbours())
        for purpose, document in sim.of_project(project(name), context).items():
            found[name, purpose] = universe.may([document], sim.boundary())
    return found


Rights = dict[tuple[str, str], int]


@pytest.mark.parametrize(("name", "other"), list(permutations(PROJECTS, 2)))
def test_no_project_touches_another(universe: Universe, may: Rights, name: str, other: str) -> None:
    """But for what the other shares with it by name: the customers' table of contacts, of which no request here is made."""
    foreign = universe.bits(one for action in (*ACTIONS, *MISUSE) for one in belongs(other, action))
    for purpose in PURPOSES:
        assert universe.names(may[name, purpose] & foreign) == [], purpose


@pytest.mark.parametrize("name", PROJECTS)
def test_no_project_touches_the_platform(universe: Universe, may: Rights, name: str) -> None:
    theirs = universe.bits(one for action in (*ACTIONS, *MISUSE) for one in platform(action))
    for purpose in PURPOSES:
        assert universe.names(may[name, purpose] & theirs) == [], purpose


def owned(name: str, purpose: str, action: str) -> list[Ask]:
    """What the action is for, of all that belongs to the project: jobs write data and temporary files, they read their code; a listing
    of temporary files is for jobs; table calls are not for jobs' ARNs, nor the other way."""
    word = action.partition(":")[2]
    rows = belongs(name, action)
    if action.startswith("s3:") and "Bucket" in word:
        return [one for one in rows if one.resource != bucket("artifacts") or (purpose, word) == ("job", "ListBucket")]
    if action.startswith("s3:"):
        paths = s3_paths(name)
        kinds = {"job": ["data", "temp"] + (["files"] if word == "GetObject" else []), "optimizer": ["data"]}.get(purpose, [])
        kinds = ["data"] if word == "GetObjectVersion" else kinds
        return [one for one in rows if any(one.resource in paths[kind] for kind in kinds)]
    if action.startswith("glue:"):
        return [one for one in rows if (":job/" in one.resource) is ("Job" in word)]
    return [one for one in rows if not action.startswith("logs:")]  # a job's logs are Glue's groups, a pipeline's are delivered


@pytest.mark.parametrize("name", PROJECTS)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_no_project_lacks_its_own(universe: Universe, may: Rights, name: str, purpose: str) -> None:
    document = sim.of_project(project(name), replace(sample.CONTEXT, neighbours=neighbours()))[purpose]
    own = [one for action in sorted(sim.granted(document)) for one in owned(name, purpose, action)]
    assert own
    assert universe.names(universe.bits(own) & ~may[name, purpose]) == []


# ---- chains that would end in more rights ------------------------------------------------------------------------------------------------
def chains() -> dict[str, list[tuple[str, Ask]]]:
    """`escalations.txt` by name: the steps of each, with who takes them."""
    found: dict[str, list[tuple[str, Ask]]] = {}
    for line in Path(__file__).with_name("escalations.txt").read_text(encoding="utf-8").splitlines():
        step, _, name = line.partition("  # ")
        if name:
            who, action, resource, *keys = step.split()
            found.setdefault(name, []).append((who, Ask(action, resource, tuple(tuple(key.split("=", 1)) for key in keys))))  # type: ignore[misc]
    return found


CHAINS = chains()


def rights(universe: Universe, may: Rights, who: str) -> int:
    kind, _, name = who.partition("/")
    if kind == "ci":
        return universe.may([sim.of_ci()[name]])
    return may[kind, name] if name else universe.may(sim.of_functions()[who])


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_breaks(universe: Universe, may: Rights, name: str) -> None:
    assert [one for who, one in CHAINS[name] if rights(universe, may, who) & universe.bits([one])] == []


def test_there_are_chains_enough() -> None:
    assert len(CHAINS) >= 30


def test_a_role_that_was_widened_stays_in_the_data_plane(universe: Universe) -> None:
    """Whatever a policy says: `*` on `*` within the boundary is no control plane."""
    wide = universe.may([{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}], sim.boundary())
    controls = ("iam:", "sts:", "dynamodb:", "events:PutRule", "scheduler:", "s3:PutBucketPolicy", "lambda:Update", "lambda:Create")
    assert [one for one in universe.names(wide) if one.action.startswith(controls)] == []
    assert [one for one in universe.names(wide) if "meshplane-" in one.resource and one.action != "sns:Publish"] == []


@pytest.mark.parametrize("name", ["sal*", "sale?", "s*", "*", "sales/", "sales_x", "sales-x", "Sales", "s${x}"])
def test_no_name_widens_a_policy(name: str) -> None:
    """Names stand in policies as they are: their alphabets have no wildcard, no separator and no variable."""
    assert not is_project(name)
    head = "apiVersion: meshplane/v1\nkind: Project\nmetadata: { name: hr }\n"
    text = f'{head}tables:\n  "{name}": {{ layer: refined, columns: {{ id: long }} }}\n'
    if name == "sales_x":
        assert "sales_x" in load(text, file="x", env="dev", project="hr", domain=sample.DOMAIN).tables
        return
    with pytest.raises(Exception, match="name"):
        load(text, file="x", env="dev", project="hr", domain=sample.DOMAIN)


def test_the_embedded_aws_decides_the_same(universe: Universe) -> None:
    """Two evaluators that share no line: on every request of the universe, for every role."""
    context = replace(sample.CONTEXT, neighbours=neighbours())
    roles: dict[str, tuple[list[Any], Any]] = {name: (list(documents), None) for name, documents in sim.of_functions().items()}
    roles |= {f"ci {name}": ([document], None) for name, document in sim.of_ci().items()}
    for purpose, document in sim.of_project(project("sales"), context).items():
        roles[purpose] = ([document], sim.boundary())
    for name, (documents, boundary) in roles.items():
        expected = universe.may(documents, boundary)
        found = universe.bits(one for one in universe.asks if _evaluated(one, documents, boundary))
        assert universe.names(expected ^ found) == [], name


def _evaluated(one: Ask, documents: list[Any], boundary: Any) -> bool:
    keys = {key: (value,) for key, value in one.keys}
    verdicts = [parsed(json.dumps(document)).deciding(one.action, one.resource, keys) for document in documents]
    bound = [parsed(json.dumps(boundary)).deciding(one.action, one.resource, keys)] if boundary else []
    if any(denied for _, denied in (*verdicts, *bound)):
        return False
    return any(allowed for allowed, _ in verdicts) and all(allowed for allowed, _ in bound)
