"""D2: Terraform and Python read one file of patterns and make the same names of it, for domains that nobody chose by hand."""

from __future__ import annotations

import json
import random

import pytest

from meshplane.model.naming import LAYERS, PURPOSES, Naming, patterns
from tests.baseline.conftest import REACHABLE, Plan, Work

_ROOT = """\
locals {
  cases = jsondecode(file("${path.module}/cases.json"))
}
module "names" {
  source       = "../modules/naming"
  for_each     = local.cases
  abbr         = each.value.abbr
  country_code = each.value.country_code
  account_id   = each.value.account_id
  env          = each.value.env
}
output "names" {
  value = { for case, names in module.names : case => { of = names.of, buckets = names.buckets, databases = names.databases } }
}
"""


def domains(count: int) -> dict[str, Naming]:
    """Generated, with the shortest and the longest among them."""
    draw = random.Random(7)
    letters, more = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789"
    made = [Naming("ab", "de", "0" * 12, "eu-central-1", "dev"), Naming("a" + "9" * 9, "zz", "9" * 12, "us-gov-west-1", "prod")]
    for _ in range(count):
        abbr = draw.choice(letters) + "".join(draw.choices(more, k=draw.randint(1, 9)))
        country, account = "".join(draw.choices(letters, k=2)), "".join(draw.choices("0123456789", k=12))
        made.append(Naming(abbr, country, account, "eu-central-1", draw.choice(["dev", "int", "prod"])))
    return {str(index): naming for index, naming in enumerate(made)}


@pytest.mark.timeout(300)
def test_terraform_makes_the_same_names(work: Work) -> None:
    """Every pattern, its resource's own parts left open; needs terraform but no provider."""
    cases, folder = domains(200), work.source / "names"
    folder.mkdir()
    (folder / "main.tf").write_text(_ROOT, encoding="utf-8")
    fields = ("abbr", "country_code", "account_id", "env")
    told = {case: {field: getattr(naming, field) for field in fields} for case, naming in cases.items()}
    (folder / "cases.json").write_text(json.dumps(told), encoding="utf-8")
    work.done("init", "-input=false", folder="names")
    work.done("apply", "-input=false", "-auto-approve", folder="names")
    found = json.loads(work.done("output", "-json", "names", folder="names"))
    parts = (
        "project",
        "table",
        "job",
        "pipeline",
        "trigger",
        "purpose",
        "layer",
        "name",
        "sha256",
        "digest",
        "state_machine",
        "zone",
        "alarm",
        "source",
    )
    kept = {part: f"{{{part}}}" for part in parts}
    for case, naming in cases.items():
        assert found[case]["of"] == {pattern: naming.of(pattern, **kept) for pattern in patterns()}
        assert found[case]["buckets"] == {purpose: naming.bucket(purpose) for purpose in PURPOSES}
        assert found[case]["databases"] == {layer: naming.database(layer) for layer in LAYERS}


def test_the_plan_uses_no_other_names(planned: Plan, naming: Naming) -> None:
    """Every physical name in the plan is one that Python makes too."""
    published = ("kms_key_arn", "boundary_arn", "connections", "subnet_arns", "security_group_arns")
    single = ("terraform_state_bucket", "kms_alias", "boundary", "network", "endpoint_group", "flow_log_group", "flow_log_role")
    python = {
        *(naming.bucket(purpose) for purpose in PURPOSES),
        *(naming.database(layer) for layer in LAYERS),
        *(naming.of("baseline_parameter", name=name) for name in published),
        *(naming.of("connection", zone=zone) for zone in "abc"),
        *(naming.of("reachable_connection", name=name) for name in REACHABLE),
        *(naming.of("ci_role", purpose=purpose) for purpose in ("deploy", "plan")),
        *(naming.of(name) for name in (*single, "log_delivery_policy")),
        *("write", "deploy", "plan"),  # inline policies, named within their role
    }
    rows = planned.document["planned_values"]["root_module"]["resources"]
    used = {row["values"][key] for row in rows for key in ("bucket", "name", "policy_name") if row["values"].get(key)}
    assert used == python
